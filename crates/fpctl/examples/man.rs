//! Writes the man page of fpctl: one page for the program and its commands.
//!
//!     cargo run -p fpctl --example man -- OUTPUT

#[path = "../src/cli.rs"]
#[allow(dead_code)]
mod cli;

use std::io::Write;

use clap::CommandFactory;

fn main() -> std::io::Result<()> {
    let output = std::env::args_os().nth(1).expect("usage: man OUTPUT");
    let mut page = std::fs::File::create(output)?;
    let command = cli::Cli::command().disable_help_subcommand(true);
    let commands: Vec<_> = command.get_subcommands().cloned().collect();
    let program = clap_mangen::Man::new(command)
        .date("")
        .manual("fuse-promise");
    program.render_title(&mut page)?;
    program.render_name_section(&mut page)?;
    program.render_synopsis_section(&mut page)?;
    program.render_description_section(&mut page)?;
    program.render_options_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in commands {
        let name = command.get_name().to_owned();
        let full = command
            .display_name(format!("fpctl {name}"))
            .bin_name(format!("fpctl {name}"));
        let about = clap_mangen::Man::new(full);
        let mut section = Vec::new();
        about.render_synopsis_section(&mut section)?;
        about.render_description_section(&mut section)?;
        about.render_options_section(&mut section)?;
        let section = String::from_utf8(section).expect("roff is text");
        writeln!(page, ".SS {name}")?;
        for line in section.lines().filter(|line| !is_of_a_whole_page(line)) {
            // The titles of a page of its own are breaks within this one.
            let line = if line.starts_with(".SH") { ".PP" } else { line };
            writeln!(page, "{line}")?;
        }
    }
    program.render_extra_section(&mut page)?;
    program.render_version_section(&mut page)
}

/// The lines with which each rendering defines the apostrophe again.
fn is_of_a_whole_page(line: &str) -> bool {
    line.starts_with(".ie") || line.starts_with(".el")
}
