use serde_json::json;

use super::*;

fn only(text: &str) -> Node {
    let parsed = parse(text);
    assert_eq!(parsed.problems, [], "{text}");
    assert_eq!(parsed.documents.len(), 1, "{text}");
    parsed.documents.into_iter().next().unwrap()
}

fn messages(text: &str) -> Vec<String> {
    parse(text)
        .problems
        .into_iter()
        .map(|p| format!("{}: {}", p.place.line, p.message))
        .collect()
}

#[test]
fn several_documents_are_read_and_empty_ones_are_not() {
    let parsed = parse("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
    let documents: Vec<_> = parsed.documents.iter().map(Node::to_json).collect();
    assert_eq!(documents, [json!({"a": 1}), json!({"b": 2})]);
    assert!(parse("").documents.is_empty());
}

#[test]
fn json_is_read_too() {
    let text = "{\n\t\"a\": {\"b\": [1, true, null, \"x\"]}\n}\n";
    assert_eq!(only(text).to_json(), json!({"a": {"b": [1, true, null, "x"]}}));
}

#[test]
fn an_alias_and_a_merge_are_unfolded() {
    let text = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nsame: *base\n";
    assert_eq!(
        only(text).to_json(),
        json!({"base": {"a": 1, "b": 2}, "use": {"a": 1, "b": 3}, "same": {"a": 1, "b": 2}})
    );
}

#[test]
fn every_key_that_stands_there_twice_is_found() {
    assert_eq!(
        messages("a: 1\nb: {c: 1, c: 2}\na: 3\n"),
        [
            "2: the key \"c\" stands here again; it is in line 2 already",
            "3: the key \"a\" stands here again; it is in line 1 already"
        ]
    );
    assert!(messages("a: 1\nb: {c: 1, d: 2}\n").is_empty());
}

#[test]
fn after_a_syntax_error_the_documents_before_it_are_there() {
    let parsed = parse("a: 1\n---\nb: [1, 2\nc: 3\n");
    assert_eq!(parsed.documents.len(), 1);
    assert_eq!(parsed.problems.len(), 1);
    assert!(parsed.problems[0].place.line >= 3, "{:?}", parsed.problems);
}

#[test]
fn a_bomb_of_aliases_ends_as_a_problem() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    let problems = parse(&text).problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("unfolds"), "{problems:?}");
}

#[test]
fn an_alias_inside_of_what_it_stands_for_is_a_problem() {
    assert_eq!(parse("a: &a [1, *a]\n").problems.len(), 1);
}

#[test]
fn a_path_leads_to_its_place_or_to_the_nearest_above() {
    let text = "spec:\n  labels:\n    app.example.org/name: x\n  packs: [a, bc]\n";
    let node = only(text);
    let at = |path: &str| {
        let place = node.place_of(path);
        (place.line, place.column, &text[place.start..place.end])
    };
    assert_eq!(at("spec.labels.app.example.org/name"), (3, 27, "x"));
    assert_eq!(at("spec.packs[1]"), (4, 14, "bc"));
    assert_eq!(at("spec.packs[7]"), (4, 3, "packs"));
    assert_eq!(at("spec.scrape.port"), (1, 1, "spec"));
}
