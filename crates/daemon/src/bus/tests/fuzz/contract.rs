//! The calls that are made here are all that the contract has: `dbus/*.xml` is read, so that a
//! method that is added there is made to stand what the others stand.

use std::collections::BTreeSet;
use std::path::Path;

use super::calls::METHODS;

/// Interface, member, types of the arguments.
type Method = (String, String, String);

#[test]
fn every_method_of_the_contract_is_called() {
    let contract = contract();
    let known: BTreeSet<Method> = METHODS
        .iter()
        .map(|(interface, member, types)| {
            let [interface, member, types] =
                [interface, member, types].map(|text| (*text).to_owned());
            (interface, member, types)
        })
        .collect();
    let missing: Vec<_> = contract.difference(&known).collect();
    assert!(missing.is_empty(), "no call is made of {missing:?}");
    // The others are those of every object on a bus.
    let gone: Vec<_> = known
        .difference(&contract)
        .filter(|(interface, ..)| !interface.starts_with("org.freedesktop.DBus."))
        .collect();
    assert!(gone.is_empty(), "there is no {gone:?} any more");
    assert_eq!(known.len(), METHODS.len(), "each is there once");
}

#[test]
fn every_option_of_the_contract_is_given() {
    // Of its own kind; the documentation of each method says `Options: name (type: …`.
    let documented: BTreeSet<(String, String)> = files()
        .iter()
        .flat_map(|xml| {
            let text = xml.split_whitespace().collect::<Vec<_>>().join(" ");
            let lists = text.split("Options: ").skip(1);
            let lists = lists.map(|list| list.split("-->").next().unwrap_or_default().to_owned());
            lists.flat_map(|list| options_in(&list)).collect::<Vec<_>>()
        })
        .collect();
    assert!(documented.len() > 5, "{documented:?}");
    let known: BTreeSet<(String, String)> = super::calls::OPTIONS
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()))
        .collect();
    let missing: Vec<_> = documented.difference(&known).collect();
    assert!(missing.is_empty(), "no call brings {missing:?}");
}

/// `name (type…` everywhere in a list.
fn options_in(list: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in list.match_indices(" (") {
        let name = list[..at].rsplit(' ').next().unwrap_or_default();
        let kind = list[at + 2..].split([')', ':', ',']).next();
        let kind = kind.unwrap_or_default();
        let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        if matches!(kind, "u" | "t" | "s" | "b" | "ay") && name.chars().all(is_name) {
            found.push((name.to_owned(), kind.to_owned()));
        }
    }
    found
}

fn contract() -> BTreeSet<Method> {
    let mut methods = BTreeSet::new();
    for xml in files() {
        let (mut interface, mut method) = (String::new(), None);
        for line in xml.lines().map(str::trim) {
            if line.starts_with("<interface ") {
                interface = attribute(line, "name");
            } else if line.starts_with("<method ") {
                method = Some((attribute(line, "name"), String::new()));
            } else if line.starts_with("<arg ") && line.contains("direction=\"in\"") {
                // Arguments of signals have no direction.
                if let Some((_, types)) = &mut method {
                    types.push_str(&attribute(line, "type"));
                }
            }
            let ends = line == "</method>" || line.starts_with("<method ") && line.ends_with("/>");
            if let Some((member, types)) = method.take_if(|_| ends) {
                methods.insert((interface.clone(), member, types));
            }
        }
    }
    methods
}

fn attribute(line: &str, name: &str) -> String {
    let begin = format!(" {name}=\"");
    let value = line
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once('"'));
    let (value, _) = value.unwrap_or_else(|| panic!("no {name} in {line}"));
    value.to_owned()
}

fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "xml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(files.len(), 4, "one file for each interface");
    files
}
