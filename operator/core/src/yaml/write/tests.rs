use proptest::prelude::*;
use serde_json::json;

use super::super::{parse, to_string};
use super::*;

/// What readers of both versions make of what is written. An older reader takes no number with an exponent for one
/// unless it has a point and a sign, and this is the only thing that the newer ones would be content without.
fn read(text: &str) -> [Value; 2] {
    let parsed = parse(text);
    assert_eq!(parsed.problems, [], "{text}");
    let [document] = parsed.documents.as_slice() else {
        panic!("not one document: {text}");
    };
    let other = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    [document.to_json(), other]
}

#[test]
fn texts_that_mean_themselves_stand_plain_and_others_in_quotes() {
    let plain = [
        "a",
        "30s",
        "3m",
        "99.9%",
        "sum by (job) (rate(x{a=\"b\"}[5m])) > 0.5",
        "(a or b) / c",
        "/metrics",
        "$value",
        "_x",
        "app.kubernetes.io/name",
        "http://x:80/y#z",
        "yesterday",
        "30d",
        ".status",
        "^a+$",
    ];
    for text in plain {
        assert!(is_plain(text, Marks::of(text)), "{text:?}");
    }
    let quoted = [
        "",
        " a",
        "a ",
        "a:",
        "a: b",
        "a #b",
        "yes",
        "No",
        "ON",
        "y",
        "N",
        "true",
        "False",
        "null",
        "~",
        "1",
        "1.5",
        "-1",
        "+1",
        ".5",
        "1e3",
        "0x1F",
        "0o17",
        "017",
        "1_000",
        "1:30",
        "12:30:45",
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "0x3d",
        ".inf",
        ".NaN",
        ".e+5",
        "...",
        ".",
        "{{ x }}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "#a",
        "- a",
        "-",
        "? a",
        ": a",
        ",",
        "=",
        "<<",
        "a\tb",
        "\u{fc}ber",
    ];
    for text in quoted {
        assert!(!is_plain(text, Marks::of(text)), "{text:?}");
    }
}

#[test]
fn blocks_stand_as_kubectl_prints_them() {
    let value = json!({
        "a": {"b": [{"c": 1, "d": [[1, 2], []]}, "x"], "e": {}},
        "f": "one\ntwo", "g": "one\n\n two\n", "h": "one\n\n", "i": 1e21, "j": 2.5e-9, "k": null,
    });
    let text = "\
a:
  b:
  - c: 1
    d:
    - - 1
      - 2
    - []
  - x
  e: {}
f: |-
  one
  two
g: |
  one

   two
h: |+
  one

i: 1.0e+21
j: 2.5e-9
k: null
";
    assert_eq!(to_string([&value]), text);
    assert_eq!(read(text), [value.clone(), value]);
}

/// Pieces of which each has a meaning to some reader somewhere.
fn piece() -> impl Strategy<Value = String> {
    let marks = [
        "\n",
        "\n",
        " ",
        "\t",
        "\r",
        "- ",
        ": ",
        " #",
        "#",
        ":",
        "\"",
        "'",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "*",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "~",
        "=",
        "<<",
        "---",
        "...",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "\u{0}",
        "\u{1b}",
        "\u{e9}",
        "\u{1f980}",
        "1",
        "0x1f",
        "1e3",
        ".5",
        "-",
        "+",
        "12:30",
        "2024-01-01",
        "yes",
        "off",
        "null",
        "true",
        ".nan",
        "a",
        "word",
    ];
    prop_oneof![8 => prop::sample::select(marks.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,3}", 1 => any::<char>().prop_map(String::from)]
}

fn anything() -> impl Strategy<Value = Value> {
    let text = || prop::collection::vec(piece(), 0..6).prop_map(|pieces| pieces.concat());
    let leaf = prop_oneof![
        6 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-1e9_f64..1e9).prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_written_is_read_alike_by_readers_of_both_yaml_versions(value in anything()) {
        let value = json!({"it": value});
        let text = to_string([&value]);
        prop_assert_eq!(read(&text), [value.clone(), value], "{}", text);
    }
}
