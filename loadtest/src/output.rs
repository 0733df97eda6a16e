//! Where results go.

use std::path::PathBuf;

use clap::Args;

use crate::report::{Run, Summary};

#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// The result as JSON
    #[arg(long)]
    json: bool,
    /// Write a page with plots as well
    #[arg(long, value_name = "PATH")]
    html: Option<PathBuf>,
}

impl Output {
    /// The figures to standard output, the page where it is wanted.
    pub(crate) fn write(&self, summary: &Summary, runs: &[(String, Run)]) -> anyhow::Result<()> {
        if let Some(path) = &self.html {
            crate::page::write(path, summary, runs)?;
        }
        if self.json {
            println!("{}", summary.json());
        } else {
            println!("{}", summary.table());
        }
        Ok(())
    }
}
