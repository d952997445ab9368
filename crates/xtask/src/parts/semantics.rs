//! Each promise of docs/semantics.md is quoted by a test.
//!
//! A promise is a sentence marked with a dash. A quotation is a run of comment
//! lines in a test file that contains the sentence; line breaks, comment marks
//! and quotation marks do not count.

use super::source_tree::Source;

/// The document.
const DOCUMENT: &str = "docs/semantics.md";

/// Promises that no test quotes.
pub fn untested(sources: &[Source]) -> Vec<String> {
    let Some(document) = sources.iter().find(|source| source.path == DOCUMENT) else {
        return vec![format!("{DOCUMENT} is not there")];
    };
    let quoted: String = sources
        .iter()
        .filter(|source| is_test(&source.path))
        .map(|source| comments(&source.text))
        .collect();
    sentences(&document.text)
        .into_iter()
        .filter(|sentence| !quoted.contains(sentence.as_str()))
        .collect()
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || (path.ends_with(".rs") && (path.contains("/tests/") || path.contains("tests.rs")))
}

/// All comments of a file as one flowing text.
fn comments(text: &str) -> String {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let comment = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
            .or_else(|| line.strip_prefix("//"))
            .or_else(|| line.strip_prefix("* "))?;
        Some(comment.trim_start().trim_start_matches('>'))
    });
    flow(lines)
}

/// The items of the lists in a Markdown text.
fn sentences(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_item = false;
    for line in text.lines() {
        let item = line.strip_prefix("- ");
        if let Some(item) = item {
            found.push(item.to_owned());
        } else if in_item && line.starts_with("  ") {
            let last = found.last_mut().expect("an item was begun");
            last.push(' ');
            last.push_str(line);
        }
        in_item = item.is_some() || (in_item && line.starts_with("  "));
    }
    found
        .iter()
        .map(|item| flow([item.as_str()].into_iter()).trim_end().to_owned())
        .collect()
}

/// Words separated by single spaces.
fn flow<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in lines.flat_map(str::split_whitespace) {
        text.push_str(word);
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_and_other_text_is_not() {
        let text = "# A heading\n\nWords.\n\n- One.\n- Two goes\n  on here.\n\nMore words.\n";
        assert_eq!(sentences(text), ["One.", "Two goes on here."]);
    }

    #[test]
    fn a_sentence_counts_as_tested_when_a_comment_quotes_it() {
        let source = |path: &str, text: &str| Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let tree = [
            source(DOCUMENT, "- One sentence here.\n- Another one.\n"),
            source(
                "tests/system/a.rs",
                "/// > One sentence\n/// > here.\nfn t() {}\n",
            ),
        ];
        assert_eq!(untested(&tree), ["Another one."]);
    }
}
