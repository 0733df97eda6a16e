//! Tries an expression on an event of the command line:
//!
//! ```sh
//! cargo run -p tidegate-cesql --example filter -- "type LIKE 'order.%' AND EXISTS subject" type=order.created
//! ```
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{collections::HashMap, env, process::ExitCode};

use tidegate_cesql::{Context, Explanation, Expression, Value};

struct Event(HashMap<String, String>);

impl Context for Event {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.get(name).map(|text| Value::from(text.as_str()))
    }
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let text = arguments.next().unwrap_or_default();
    let pairs = arguments.filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let event = Event(pairs.collect());
    match Expression::parse(&text) {
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
        Ok(expression) => {
            print(&expression.explain(&event), 0);
            ExitCode::from(u8::from(!expression.matches(&event)))
        }
    }
}

fn print(part: &Explanation<'_>, depth: usize) {
    let value = part.value.as_ref().map_or("-".to_owned(), Value::to_string);
    println!("{:indent$}{value:<8} {}", "", part.text, indent = depth * 2);
    for error in &part.errors {
        println!("{:indent$}         {error}", "", indent = depth * 2);
    }
    for inner in &part.parts {
        print(inner, depth + 1);
    }
}
