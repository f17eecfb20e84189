//! A server that makes images smaller: a little I/O and much computation, in
//! its handler, where `guard::advice` finds it.
//!
//! Run: `cargo run -p tapio --example advice_resize`, with `TAPIO_ADVICE=1`
//! for the whole advice at the end.

#![expect(clippy::print_stdout, reason = "it shows what the guard found")]

use std::io;
use std::time::{Duration, Instant};

use tapio::guard;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};

/// Pixels along one side, before and after.
const LARGE: usize = 1024;
const SMALL: usize = 128;

#[tapio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let line = line!() + 3;
    tapio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tapio::spawn(handle(stream));
        }
    });

    let mut stream = TcpStream::connect(address).await?;
    let mut image = vec![0; SMALL * SMALL];
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) || !guard::advice().is_enough {
        stream.write_u8(7).await?;
        stream.read_exact(&mut image).await?;
    }
    println!("an image of {} bytes", image.len());

    let advice = guard::advice();
    match advice.site(file!(), line) {
        Some(site) => println!("the handler: {}", site.verdict),
        None => println!("the guard has not seen the handler"),
    }
    Ok(())
}

/// Answers each byte with the image that is made from it.
async fn handle(mut stream: TcpStream) -> io::Result<()> {
    while let Ok(seed) = stream.read_u8().await {
        let small = shrink(&generate(seed));
        stream.write_all(&small).await?;
    }
    Ok(())
}

fn generate(seed: u8) -> Vec<u8> {
    let pixel = |index: usize| (index % LARGE * (index / LARGE) / 64) as u8 ^ seed;
    (0..LARGE * LARGE).map(pixel).collect()
}

/// Each pixel is the mean of those that it stands for.
fn shrink(large: &[u8]) -> Vec<u8> {
    const STEP: usize = LARGE / SMALL;
    let pixel = |index: usize| {
        let (x, y) = (index % SMALL * STEP, index / SMALL * STEP);
        let rows = (y..y + STEP).flat_map(|row| &large[row * LARGE + x..][..STEP]);
        (rows.map(|pixel| usize::from(*pixel)).sum::<usize>() / (STEP * STEP)) as u8
    };
    (0..SMALL * SMALL).map(pixel).collect()
}
