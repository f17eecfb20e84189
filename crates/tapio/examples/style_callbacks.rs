//! One program in three styles; this one: callbacks. See also
//! `style_promises` and `style_await`.
//!
//! It asks who Ada is, then at once for her age and her city.
//!
//! Run: `cargo run -p tapio --example style_callbacks`

#![expect(clippy::print_stdout, reason = "it shows the answers")]

use std::sync::{Arc, Mutex, mpsc};

use tapio::runtime::Handle;

type Answer = Result<String, String>;

/// Each step says what to call when it is done.
fn ask(question: String, then: impl FnOnce(Answer) + Send + 'static) {
    let answer = Handle::current().spawn_blocking(move || look_up(&question));
    answer.on_complete(|answer| then(answer.unwrap_or_else(|error| Err(error.to_string()))));
}

fn describe(name: &str, then: impl FnOnce(Answer) + Send + 'static) {
    ask(format!("id of {name}"), |id| match id {
        Err(error) => then(Err(error)),
        Ok(id) => {
            // Two answers, in any order; whoever comes second goes on.
            let first = Arc::new(Mutex::new((None, Some(then))));
            let second = Arc::clone(&first);
            ask(format!("age of {id}"), move |age| both(&first, age, true));
            ask(format!("city of {id}"), move |city| {
                both(&second, city, false)
            });
        }
    });
}

fn both<F: FnOnce(Answer)>(state: &Mutex<(Option<Answer>, Option<F>)>, mine: Answer, is_age: bool) {
    let mut state = state.lock().expect("nobody panics");
    let Some(other) = state.0.take() else {
        state.0 = Some(mine);
        return;
    };
    let (age, city) = if is_age { (mine, other) } else { (other, mine) };
    let then = state.1.take().expect("called once");
    drop(state);
    then(age.and_then(|age| city.map(|city| format!("{age}, {city}"))));
}

fn main() -> std::io::Result<()> {
    let runtime = tapio::runtime::Runtime::new()?;
    let _inside = runtime.enter();
    for name in ["ada", "bob"] {
        let (done, is_done) = mpsc::channel::<()>();
        describe(name, move |answer| {
            println!("{name}: {answer:?}");
            drop(done);
        });
        let _ = is_done.recv();
    }
    Ok(())
}

fn look_up(question: &str) -> Answer {
    match question {
        "id of ada" => Ok("1815".into()),
        "age of 1815" => Ok("36".into()),
        "city of 1815" => Ok("London".into()),
        _ => Err(format!("no {question}")),
    }
}
