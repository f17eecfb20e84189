//! The page, in a real browser.
//!
//! With `HANGOUT_SCREENSHOTS=DIR` each test leaves pictures of what it saw.

use rustix::process::Signal;
use serde_json::json;

use crate::chromium::{self, Chromium, Tab};
use crate::client::Client;
use crate::server::{Home, Server};

/// The texts of the messages on the page, in order.
const SHOWN: &str =
    "[...document.querySelectorAll('#messages .text')].map((text) => text.textContent)";
const ENTER: u32 = 13;

/// Opens the page and comes in under a name.
fn come_in(
    browser: &mut Chromium,
    server: &Server,
    name: &str,
    size: (u32, u32),
    dark: bool,
) -> Tab {
    let tab = browser.open(&server.url("/"), size.0, size.1, dark);
    // A tab starts with the name that the last one had; each test person has its own.
    browser.wait(&tab, "document.getElementById('hello').open || document.getElementById('state').classList.contains('online')");
    if browser.eval(&tab, "document.getElementById('hello').open") == json!(false) {
        browser.eval(&tab, "document.getElementById('rename').click()");
    }
    browser.eval(&tab, "document.getElementById('hello-name').value = ''; document.getElementById('hello-name').focus()");
    browser.type_text(&tab, name);
    browser.eval(
        &tab,
        "document.getElementById('hello-form').requestSubmit()",
    );
    browser.wait(
        &tab,
        &format!("document.getElementById('my-name').textContent === '{name}'"),
    );
    online(browser, &tab);
    tab
}

fn online(browser: &mut Chromium, tab: &Tab) {
    browser.wait(
        tab,
        "document.getElementById('state').textContent === 'Connected'",
    );
}

/// Writes a message as a person would, by keyboard.
fn say(browser: &mut Chromium, tab: &Tab, text: &str) {
    browser.eval(tab, "document.getElementById('text').focus()");
    browser.type_text(tab, text);
    browser.press(tab, "Enter", ENTER);
}

fn shows(browser: &mut Chromium, tab: &Tab, texts: &[&str]) {
    let texts = serde_json::to_string(texts).expect("JSON");
    browser.wait(
        tab,
        &format!("JSON.stringify({SHOWN}) === {}", json!(texts)),
    );
}

#[test]
fn two_tabs_chat_make_a_room_and_outlive_a_restart() {
    let Some(mut browser) = chromium::start() else {
        return;
    };
    let home = Home::new();
    let server = home.start(&[]);
    let address = server.address.to_string();
    let ada = browser.open(&server.url("/"), 1280, 800, false);
    browser.wait(&ada, "document.getElementById('hello').open");
    browser.screenshot(&ada, "1-welcome");
    drop(ada);
    let ada = come_in(&mut browser, &server, "Ada Lovelace", (1280, 800), false);
    let bob = come_in(&mut browser, &server, "Bob", (1280, 800), false);

    // Live, both ways, and nothing that is written becomes anything but text.
    let nasty = "<img src=x onerror=alert(1)> & <b>not bold</b> https://example.org/a?b=1.";
    say(&mut browser, &ada, "Hello Bob!");
    shows(&mut browser, &bob, &["Hello Bob!"]);
    say(&mut browser, &bob, nasty);
    shows(&mut browser, &ada, &["Hello Bob!", nasty]);
    assert_eq!(
        browser.eval(
            &ada,
            "document.querySelectorAll('#messages b, #messages img').length"
        ),
        0
    );
    let link = browser.eval(&ada, "document.querySelector('#messages a').href");
    assert_eq!(link, "https://example.org/a?b=1");
    browser.wait(
        &ada,
        "[...document.querySelectorAll('#people .person')].length === 2",
    );

    // A room made by one is seen by the other, with a mark once something is said there.
    browser.eval(&ada, "document.getElementById('new-room-name').focus()");
    browser.type_text(&ada, "tea kitchen");
    browser.eval(&ada, "document.getElementById('new-room').requestSubmit()");
    browser.wait(
        &ada,
        "document.getElementById('room-name').textContent === 'tea kitchen'",
    );
    browser.wait(
        &bob,
        "document.querySelector('[data-room=\"tea kitchen\"]') !== null",
    );
    say(&mut browser, &ada, "Tea is ready.");
    shows(&mut browser, &ada, &["Tea is ready."]);
    browser.wait(
        &bob,
        "document.querySelector('[data-room=\"tea kitchen\"] .badge') !== null",
    );
    assert_eq!(browser.eval(&bob, "document.title.startsWith('(1)')"), true);
    browser.screenshot(&bob, "2-desktop-unread");
    browser.eval(
        &bob,
        "document.querySelector('[data-room=\"tea kitchen\"]').click()",
    );
    shows(&mut browser, &bob, &["Tea is ready."]);
    browser.wait(&bob, "document.querySelector('.badge') === null");

    // The server goes, both go on writing, the server comes back: all arrives, once.
    server.signal(Signal::TERM);
    assert_eq!(server.wait().0.code(), Some(0));
    for tab in [&ada, &bob] {
        browser.wait(tab, "!document.getElementById('offline').hidden");
    }
    say(&mut browser, &ada, "Is it just me?");
    say(&mut browser, &ada, "Hello?");
    browser.wait(
        &ada,
        "document.querySelectorAll('#pending .waiting').length === 2",
    );
    browser.screenshot(&ada, "3-offline");
    let server = home.start_at(&address, &[]);
    for tab in [&ada, &bob] {
        online(&mut browser, tab);
        shows(
            &mut browser,
            tab,
            &["Tea is ready.", "Is it just me?", "Hello?"],
        );
    }
    browser.wait(
        &ada,
        "document.querySelectorAll('#pending .message').length === 0",
    );

    // The same with a server that dies in mid-sentence.
    server.kill();
    say(&mut browser, &bob, "Again?");
    let server = home.start_at(&address, &[]);
    let all = ["Tea is ready.", "Is it just me?", "Hello?", "Again?"];
    for tab in [&ada, &bob] {
        shows(&mut browser, tab, &all);
    }
    let stored = server.get("/api/rooms/tea%20kitchen/messages").json();
    assert_eq!(
        stored["messages"].as_array().expect("messages").len(),
        all.len()
    );
    browser.screenshot(&ada, "4-after-restart");
    browser.check_console();
}

#[test]
fn a_phone_scrolls_back_and_reads_in_the_dark() {
    let Some(mut browser) = chromium::start() else {
        return;
    };
    let home = Home::new();
    let server = home.start(&["--page-size", "50", "--rate", "10000", "--burst", "10000"]);
    let (mut writer, _) = Client::hello(&server, "Grace Hopper");
    for count in 1..=180 {
        let text = match count {
            175 => "A longer one, so that it has to find its way around the corner of a small screen, and then some more.".to_owned(),
            176 => "x".repeat(120),
            _ => format!("message {count}"),
        };
        writer.say("lobby", &text, &format!("n{count}"));
        writer.expect("ack");
    }
    let tab = come_in(&mut browser, &server, "Ada", (360, 640), true);
    browser.wait(
        &tab,
        "document.querySelector('#messages [data-seq=\"180\"]') !== null",
    );
    let wide = "document.documentElement.scrollWidth <= 360 && document.getElementById('log').scrollWidth <= 360";
    assert_eq!(browser.eval(&tab, wide), true, "it is wider than the phone");
    browser.screenshot(&tab, "5-phone-dark");

    // Scrolling up brings older messages, in place, until there are no more.
    let scroll = "document.getElementById('log').scrollTop = 0";
    for oldest in [81, 31, 1] {
        browser.eval(&tab, scroll);
        browser.wait(
            &tab,
            &format!("document.querySelector('#messages .message').dataset.seq <= {oldest}"),
        );
    }
    browser.wait(
        &tab,
        "document.getElementById('older').textContent.includes('begins')",
    );
    let seqs =
        "[...document.querySelectorAll('#messages .message')].map((m) => Number(m.dataset.seq))";
    let every: Vec<u32> = (1..=180).collect();
    assert_eq!(browser.eval(&tab, seqs), json!(every));

    // Something new does not tear the reader away from where he is.
    writer.say("lobby", "news", "news");
    browser.wait(&tab, "!document.getElementById('latest').hidden");
    browser.screenshot(&tab, "6-phone-scrolled-back");
    browser.eval(&tab, "document.getElementById('latest').click()");
    browser.wait(&tab, "document.getElementById('latest').hidden");

    // The two drawers, by the keyboard too.
    browser.eval(&tab, "document.getElementById('open-rooms').click()");
    browser.wait(
        &tab,
        "document.getElementById('rooms-panel').classList.contains('open')",
    );
    browser.screenshot(&tab, "7-phone-rooms");
    browser.press(&tab, "Escape", 27);
    browser.wait(
        &tab,
        "!document.getElementById('rooms-panel').classList.contains('open')",
    );
    browser.eval(&tab, "document.getElementById('open-people').click()");
    browser.screenshot(&tab, "8-phone-people");
    browser.press(&tab, "Escape", 27);

    // On a touch screen the button sends, and too long a text cannot be sent at all.
    browser.eval(&tab, "document.getElementById('text').focus()");
    browser.type_text(&tab, "from my phone");
    browser.eval(&tab, "document.getElementById('send').click()");
    assert_eq!(writer_hears(&server), "from my phone");
    browser.type_text(&tab, &"y".repeat(4001));
    assert_eq!(
        browser.eval(&tab, "document.getElementById('send').disabled"),
        true
    );
    assert_eq!(
        browser.eval(&tab, "document.getElementById('counter').textContent"),
        "1 too many"
    );
    browser.check_console();
}

fn writer_hears(server: &Server) -> String {
    loop {
        let page = server.get("/api/rooms/lobby/messages?limit=1").json();
        let last = &page["messages"][0];
        if last["name"] == "Ada" {
            return last["text"].as_str().expect("text").to_owned();
        }
    }
}
