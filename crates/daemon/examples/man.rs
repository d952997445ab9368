//! Writes the man page of fuse-promised.
//!
//!     cargo run -p fuse-promised --example man -- OUTPUT

use clap::CommandFactory;

fn main() -> std::io::Result<()> {
    let output = std::env::args_os().nth(1).expect("usage: man OUTPUT");
    let mut page = std::fs::File::create(output)?;
    let command = fuse_promised::options::Flags::command();
    let page_of = clap_mangen::Man::new(command)
        .date("")
        .manual("fuse-promise")
        .section("1");
    page_of.render(&mut page)
}
