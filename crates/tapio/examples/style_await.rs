//! One program in three styles; this one: async and await. See also
//! `style_callbacks` and `style_promises`.
//!
//! It asks who Ada is, then at once for her age and her city.
//!
//! Run: `cargo run -p tapio --example style_await`

#![expect(clippy::print_stdout, reason = "it shows the answers")]

use tapio::task::spawn_blocking;

type Answer = Result<String, String>;

/// Each step is awaited, and does nothing until then.
async fn ask(question: String) -> Answer {
    let answer = spawn_blocking(move || look_up(&question)).await;
    answer.map_err(|error| error.to_string())?
}

async fn describe(name: &str) -> Answer {
    let id = ask(format!("id of {name}")).await?;
    let (age, city) = tapio::try_join!(ask(format!("age of {id}")), ask(format!("city of {id}")))?;
    Ok(format!("{age}, {city}"))
}

#[tapio::main]
async fn main() {
    for name in ["ada", "bob"] {
        println!("{name}: {:?}", describe(name).await);
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
