//! Addresses that events may be sent to.

use url::Url;

/// The address, or what is wrong with it, in Kyma's words where Kyma has some.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("must have URL scheme 'http' or 'https'".to_owned());
    }
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("must not hold a user name or a password".to_owned())
        }
        Ok(url) if url.fragment().is_some() => Err("must not have a fragment".to_owned()),
        Ok(url) => Ok(url),
        Err(error) => Err(format!("failed to parse subscription sink URL: {error}")),
    }
}
