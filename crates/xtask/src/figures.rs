//! `cargo xtask bench page`: runs the scenarios and writes the tables of docs/performance.md.
//!
//! A table stands between two marks; what is outside of them is written by hand and stays. What limits
//! a row is such prose, and a row that misses its goal without it is an error. Results are kept below
//! `target/figures`, so that the page can be written again without running anything.

mod catalog;
mod goal;
mod machine;
mod page;
mod scenario;
mod table;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail, ensure};

use self::{catalog::Table, scenario::Outcome, tables::TABLES};
use crate::target;

const PAGE: &str = "docs/performance.md";

/// Processes that run beside it, on average over the last minute, that are worth a warning.
const LOAD_MAX: f64 = 0.5;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    only: Vec<String>,
    is_quick: bool,
    is_kept: bool,
}

pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let wish = wish(arguments)?;
    let tables = chosen(&wish)?;
    let mut text = fs::read_to_string(PAGE).context(PAGE)?;
    let all: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    // Before anything runs for half an hour.
    page::check(&text, &all).context(PAGE)?;
    if let Some(load) = machine::load().filter(|load| *load > LOAD_MAX && !wish.is_kept) {
        eprintln!("this machine is busy (load {load}): figures of such a run are not for the page");
    }
    let folder = target()
        .join("figures")
        .join(if wish.is_quick { "quick" } else { "" });
    fs::create_dir_all(&folder)?;
    let outcomes = outcomes(&wish, &tables, &folder)?;
    let mut unexplained = Vec::new();
    for (table, outcomes) in tables.iter().zip(&outcomes) {
        let (rendered, missed) = table::render(table, outcomes);
        text = page::put(&text, table.name, &rendered)?;
        let prose = page::prose(&text, table.name)?;
        let missed = missed.into_iter().filter(|what| !explains(prose, what));
        unexplained.extend(missed.map(|what| format!("{}: {what}", table.name)));
    }
    let places = unexplained.join("\n  ");
    if wish.is_quick {
        let page = folder.join("performance.md");
        fs::write(&page, text)?;
        println!("{} shows the way, not figures", page.display());
        if !unexplained.is_empty() {
            println!("missed, and {PAGE} does not say what limits it:\n  {places}");
        }
        return Ok(());
    }
    ensure!(
        unexplained.is_empty(),
        "{PAGE} does not say what limits these rows, which miss their goals:\n  {places}\nAdd a line \
         `- **ROW**: what limits it` behind the table of each, then `cargo xtask bench page --kept`"
    );
    fs::write(PAGE, text)?;
    let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
    println!("{PAGE} has new tables: {}", names.join(", "));
    Ok(())
}

/// Whether there is a line for this row.
fn explains(prose: &str, what: &str) -> bool {
    let begins = format!("- **{what}**: ");
    prose.lines().any(|line| {
        line.strip_prefix(&begins)
            .is_some_and(|why| !why.is_empty())
    })
}

fn wish(arguments: &[&str]) -> anyhow::Result<Wish> {
    let mut wish = Wish::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--quick" => wish.is_quick = true,
            "--kept" => wish.is_kept = true,
            "--only" => {
                let name = arguments
                    .next()
                    .context("--only needs the name of a table")?;
                wish.only.push((*name).to_owned());
            }
            other => bail!("bench page takes --only NAME, --quick and --kept, not {other}"),
        }
    }
    Ok(wish)
}

/// The tables by name, or all that do not take an hour.
fn chosen(wish: &Wish) -> anyhow::Result<Vec<&'static Table>> {
    if wish.only.is_empty() {
        return Ok(TABLES.iter().filter(|table| !table.is_long).collect());
    }
    let by_name = |name: &String| {
        let table = TABLES.iter().find(|table| table.name == name);
        table.with_context(|| {
            let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
            format!("no table is called {name}; there are {}", names.join(", "))
        })
    };
    wish.only.iter().map(by_name).collect()
}

/// What each scenario of each table came to: run now, or kept from before.
fn outcomes(
    wish: &Wish,
    tables: &[&'static Table],
    folder: &Path,
) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let count: usize = tables.iter().map(|table| table.scenarios.len()).sum();
    let (began, mut number) = (Instant::now(), 0);
    let mut of_tables = Vec::new();
    for table in tables {
        let mut outcomes = Vec::new();
        for scenario in table.scenarios {
            number += 1;
            let file: PathBuf = folder.join(format!("{}.json", scenario.name));
            if !wish.is_kept {
                eprintln!(
                    "[{number} of {count}, {} min] cargo xtask bench {}",
                    began.elapsed().as_secs() / 60,
                    scenario.command
                );
                let outcome = scenario::run(scenario, wish.is_quick)?;
                fs::write(&file, outcome.json().to_string())?;
            }
            let kept = fs::read(&file).with_context(|| {
                format!("no result of {} is kept; run without --kept", scenario.name)
            })?;
            outcomes.push(Outcome::read(&serde_json::from_slice(&kept)?)?);
        }
        of_tables.push(outcomes);
    }
    Ok(of_tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read() {
        let read = wish(&["--only", "doors", "--quick"]).unwrap();
        assert_eq!(
            read,
            Wish {
                only: vec!["doors".to_owned()],
                is_quick: true,
                is_kept: false
            }
        );
        assert!(wish(&["--only"]).is_err());
        assert!(wish(&["--all"]).is_err());
    }

    /// What takes an hour runs by name alone, and a name that is wrong is told with those that are.
    #[test]
    fn tables_are_chosen_by_name() {
        let all = chosen(&Wish::default()).unwrap();
        assert!(!all.is_empty() && all.iter().all(|table| !table.is_long));
        let none = Wish {
            only: vec!["windows".to_owned()],
            ..Wish::default()
        };
        let error = chosen(&none).unwrap_err().to_string();
        assert!(
            error.contains("windows") && error.contains("doors"),
            "{error}"
        );
    }

    #[test]
    fn a_row_is_explained_by_its_own_line_alone() {
        let prose = "\n- **batches: events/s**: the hash of each id.\n- **empty**: \n";
        assert!(explains(prose, "batches: events/s"));
        assert!(!explains(prose, "batches"));
        assert!(!explains(prose, "empty"));
    }

    /// The page in the repository has a place for each table.
    #[test]
    fn the_page_fits_the_catalog() {
        let text = fs::read_to_string(crate::root().join(PAGE)).unwrap();
        let all: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        page::check(&text, &all).unwrap();
    }
}
