//! The result as one page that needs nothing else: figures, throughput over time, latencies.

use std::{fmt::Write, fs, path::Path};

use anyhow::Context;

use crate::report::{Run, Summary};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;

/// Shares of all requests: from half of them to all but one in ten thousand.
const SHARES: [f64; 8] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];

const STYLE: &str = "body{font:14px sans-serif;max-width:60em;margin:2em auto;color:#222}\
    table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;\
    border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
    svg{background:#fff}";

pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) fn write(path: &Path, summary: &Summary, runs: &[(String, Run)]) -> anyhow::Result<()> {
    let page = page(summary, runs)?;
    fs::write(path, page).with_context(|| format!("writing {}", path.display()))
}

/// Curves as a picture of its own.
pub(crate) fn drawing(title: &str, curves: &[Curve<'_>]) -> anyhow::Result<String> {
    let mut text = String::new();
    let alone = "xmlns=\"http://www.w3.org/2000/svg\" style=\"background:#fff\" ";
    draw(&mut text, alone, curves, &[])?;
    let title = format!("<title>{}</title>\n</svg>\n", escaped(title));
    Ok(text.replace("</svg>\n", &title))
}

fn page(summary: &Summary, runs: &[(String, Run)]) -> anyhow::Result<String> {
    let title = escaped(&summary.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    table(&mut page, summary)?;
    let throughput = runs.iter().map(|(name, run)| Curve {
        name,
        points: (1_u32..)
            .zip(full_seconds(&run.seconds))
            .map(|(second, count)| (second.into(), *count as f64))
            .collect(),
    });
    let places: Vec<(f64, String)> = Vec::new();
    plot(
        &mut page,
        "events a second over time, by second",
        &throughput.collect::<Vec<_>>(),
        &places,
    )?;
    let latencies = runs.iter().map(|(name, run)| Curve {
        name,
        points: SHARES
            .iter()
            .map(|share| (rank(*share), run.latencies.millis(*share)))
            .collect(),
    });
    let places: Vec<(f64, String)> = SHARES
        .iter()
        .map(|share| (rank(*share), format!("{}", share * 100.0)))
        .collect();
    plot(
        &mut page,
        "latency in ms, by % of requests",
        &latencies.collect::<Vec<_>>(),
        &places,
    )?;
    page.push_str("</body></html>\n");
    Ok(page)
}

/// The last one is cut by the end of the run, unless it is all there is.
fn full_seconds(seconds: &[u64]) -> &[u64] {
    match seconds {
        [full @ .., _] if !full.is_empty() => full,
        all => all,
    }
}

/// Each nine is as wide as the one before it.
fn rank(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn table(page: &mut String, summary: &Summary) -> anyhow::Result<()> {
    page.push_str("<table><tr><th></th>");
    for column in &summary.columns {
        let name = if column.is_empty() {
            "median [least–most]"
        } else {
            column
        };
        write!(page, "<th>{}</th>", escaped(name))?;
    }
    page.push_str("</tr>\n");
    for (name, spreads) in &summary.rows {
        write!(page, "<tr><td>{}</td>", escaped(name))?;
        for spread in spreads {
            write!(page, "<td>{}</td>", spread.text())?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    Ok(())
}

fn plot(
    page: &mut String,
    title: &str,
    curves: &[Curve<'_>],
    places: &[(f64, String)],
) -> anyhow::Result<()> {
    if curves.iter().all(|curve| curve.points.is_empty()) {
        return Ok(());
    }
    writeln!(page, "<h2>{title}</h2>")?;
    draw(page, "", curves, places)
}

/// Curves over one axis; `places` are the names along it, its ends without any.
fn draw(
    page: &mut String,
    attributes: &str,
    curves: &[Curve<'_>],
    places: &[(f64, String)],
) -> anyhow::Result<()> {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let least = all().map(|(x, _)| *x).fold(f64::MAX, f64::min);
    let most = all().map(|(x, _)| *x).fold(f64::MIN, f64::max);
    let highest = all().map(|(_, y)| *y).fold(1e-3, f64::max);
    let x = |value: f64| LEFT + (value - least) / (most - least).max(1e-9) * WIDTH;
    let y = |value: f64| HEIGHT - value / highest * (HEIGHT - 20.0);
    let height = HEIGHT + BOTTOM + 16.0 * curves.len() as f64;
    write!(
        page,
        "<svg {attributes}viewBox=\"0 0 {} {height}\" font-size=\"11\" \
         font-family=\"sans-serif\">\n<path d=\"M{LEFT} 10V{HEIGHT}H{}\" stroke=\"#999\" \
         fill=\"none\"/>\n<text x=\"4\" y=\"24\">{highest:.1}</text><text x=\"4\" y=\"{HEIGHT}\">0</text>\n",
        WIDTH + LEFT + 40.0,
        LEFT + WIDTH,
    )?;
    let ends = [(least, format!("{least:.0}")), (most, format!("{most:.0}"))];
    for (value, name) in if places.is_empty() { &ends[..] } else { places } {
        let (at, below) = (x(*value), HEIGHT + 16.0);
        writeln!(
            page,
            "<text x=\"{at:.0}\" y=\"{below}\" text-anchor=\"middle\">{name}</text>"
        )?;
    }
    for (number, curve) in (0_u16..).zip(curves) {
        let number = f64::from(number);
        // Neighbours differ by more than a third of the circle.
        let colour = format!("hsl({:.0} 65% 40%)", number * 137.5 % 360.0);
        let points = curve
            .points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)));
        let points: Vec<String> = points.collect();
        let line = HEIGHT + BOTTOM + 16.0 * number;
        write!(
            page,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\n\
             <text x=\"{LEFT}\" y=\"{line}\" fill=\"{colour}\">{}</text>\n",
            points.join(" "),
            escaped(curve.name)
        )?;
    }
    page.push_str("</svg>\n");
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Spread;

    /// The page has every figure and every run, and loads nothing.
    #[test]
    fn a_page_stands_alone() {
        let mut run = Run {
            seconds: vec![100, 200, 30],
            ..Run::default()
        };
        run.latencies.add(1_500);
        let spread = Spread {
            median: 1.0,
            least: 0.5,
            most: 2.0,
        };
        let summary = Summary {
            title: "a < b".to_owned(),
            runs: 1,
            columns: vec![String::new()],
            rows: vec![("events/s".to_owned(), vec![spread])],
        };
        let page = page(&summary, &[("run 1".to_owned(), run)]).unwrap();
        for part in [
            "a &lt; b",
            "1.00 [0.50–2.00]",
            "run 1",
            "<polyline",
            "99.99",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("http") && !page.contains("<script"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    /// A picture alone says what it is, and that it is one.
    #[test]
    fn a_drawing_stands_alone() {
        let curve = Curve {
            name: "tidegate",
            points: vec![(0.0, 40.0), (1.0, 41.0)],
        };
        let text = drawing("memory < 50", &[curve]).unwrap();
        assert!(text.starts_with("<svg xmlns="), "{text}");
        assert!(
            text.ends_with("<title>memory &lt; 50</title>\n</svg>\n"),
            "{text}"
        );
    }

    /// A run that came to nothing is no reason to fail.
    #[test]
    fn nothing_is_plotted_of_nothing() {
        let mut page = String::new();
        plot(
            &mut page,
            "empty",
            &[Curve {
                name: "a",
                points: Vec::new(),
            }],
            &[],
        )
        .unwrap();
        assert!(page.is_empty());
    }
}
