//! Which format a scraper gets.

/// A format in which scrapers read metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which everything reads.
    #[default]
    Plain,
}

impl Format {
    /// The one that a scraper wants by its `Accept` headers: OpenMetrics only where it is named, and
    /// plain text is not preferred to it.
    pub fn accepted<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut open_metrics, mut plain) = (0.0_f32, 0.0_f32);
        let ranges = headers.into_iter().flat_map(|header| header.split(','));
        for range in ranges.map(Range::read) {
            match range.media.as_str() {
                "application/openmetrics-text" if range.is_version("1.0.0") => {
                    open_metrics = open_metrics.max(range.quality);
                }
                "text/plain" if range.is_version("0.0.4") => plain = plain.max(range.quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= plain {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// One of the media types of an `Accept` header.
struct Range<'a> {
    media: String,
    quality: f32,
    version: Option<&'a str>,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            media: parts.next().unwrap_or_default().to_ascii_lowercase(),
            quality: 1.0,
            version: None,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                // What is no number is no wish.
                "q" => range.quality = value.parse().unwrap_or(0.0),
                "version" => range.version = Some(value),
                _ => {}
            }
        }
        range
    }

    fn is_version(&self, version: &str) -> bool {
        self.version.is_none_or(|wanted| wanted == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus sends, in both of its generations, and what others do: nobody gets a format
    /// that he did not name, and a browser can read what it gets.
    #[test]
    fn a_scraper_gets_what_it_names() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.75,\
                            application/openmetrics-text;version=0.0.1;q=0.5,\
                            text/plain;version=0.0.4;q=0.25,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for accept in [
            prometheus_2,
            prometheus_3,
            "application/openmetrics-text",
            "text/plain, Application/OpenMetrics-Text; Version=\"1.0.0\"",
        ] {
            assert_eq!(Format::accepted([accept]), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=none",
            "application/openmetrics-text;q=0.2, text/plain;q=0.5",
        ] {
            assert_eq!(Format::accepted([accept]), Format::Plain, "{accept}");
        }
        let nothing: [&str; 0] = [];
        assert_eq!(Format::accepted(nothing), Format::Plain);
        let two = ["text/plain;q=0.5", "application/openmetrics-text"];
        assert_eq!(Format::accepted(two), Format::OpenMetrics);
    }
}
