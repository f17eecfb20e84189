//! One program in three styles; this one: promises. See also
//! `style_callbacks` and `style_await`.
//!
//! It asks who Ada is, then at once for her age and her city.
//!
//! Run: `cargo run -p tapio --example style_promises`

#![expect(clippy::print_stdout, reason = "it shows the answers")]

use tapio::promise::{Promise, from_callback};
use tapio::runtime::Handle;

type Answer = Result<String, String>;

/// The callback API of the other example.
fn ask(question: String, then: impl FnOnce(Answer) + Send + 'static) {
    let answer = Handle::current().spawn_blocking(move || look_up(&question));
    answer.on_complete(|answer| then(answer.unwrap_or_else(|error| Err(error.to_string()))));
}

/// Each step gives a value that is to come, and is under way already.
fn promised(question: String) -> Promise<Answer> {
    from_callback(|resolver| ask(question, resolver.into_callback()))
}

async fn describe(name: &str) -> Result<String, Box<dyn std::error::Error>> {
    let id = promised(format!("id of {name}")).await??;
    let (age, city) = (
        promised(format!("age of {id}")),
        promised(format!("city of {id}")),
    );
    Ok(format!("{}, {}", age.await??, city.await??))
}

#[tapio::main]
async fn main() {
    for name in ["ada", "bob"] {
        let answer = describe(name).await.map_err(|error| error.to_string());
        println!("{name}: {answer:?}");
    }
}

fn look_up(question: &str) -> Answer {
    match question {
        "id of ada" => Ok("1815".into()),
        "age of 1815" => Ok("36".into()),
        "city of 1815" => Ok("London".into()),
        _ => Err(format!("no {question}")),
    }
}
