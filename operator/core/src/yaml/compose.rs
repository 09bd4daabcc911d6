//! From the events of the YAML parser to documents: anchors, merges, keys that stand there twice.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{Content, Entry, Node, Parsed, Place, Problem, scalar};

/// Values that a text may unfold to: what an alias stands for counts each time. The API server takes no object of a
/// size that comes near it.
const MOST_NODES: usize = 200_000;

/// Reads a text: every document, and everything that is wrong with it.
pub fn parse(text: &str) -> Parsed {
    let mut composer = Composer {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        match composer.next() {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => match composer.node(event, span) {
                Ok(Some(node)) if node.content != Content::Null => documents.push(node),
                Ok(_) => {}
                Err(problem) => {
                    composer.problems.push(problem);
                    break;
                }
            },
            Err(problem) => {
                composer.problems.push(problem);
                break;
            }
        }
    }
    Parsed {
        documents,
        problems: composer.problems,
    }
}

struct Composer<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.events.next() {
            None => Ok((Event::StreamEnd, Span::default())),
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = *error.marker();
                Err(Problem {
                    place: place(&Span::new(mark, mark)),
                    message: format!("this is not YAML: {}", error.info()),
                    help: "Mend it here; nothing from here on was read".into(),
                })
            }
        }
    }

    /// The node that an event begins; none for an event that begins none.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Option<Node>, Problem> {
        let begin = place(&span);
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let content = if quoted {
                    Content::String(text.into_owned())
                } else {
                    scalar::plain(&text)
                };
                (anchor, Node { place: begin, content })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(begin)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(begin)?),
            Event::Alias(anchor) => {
                let Some(meant) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem {
                        place: begin,
                        message: "an alias stands inside of what it stands for".into(),
                        help: "Write it out instead of referring to it".into(),
                    });
                };
                self.nodes += size(&meant);
                (0, meant)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                return Ok(None);
            }
            _ => return Ok(None),
        };
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Problem {
                place: begin,
                message: format!("this unfolds to more than {MOST_NODES} values"),
                help: "Use fewer aliases; nothing from here on was read".into(),
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(Some(node))
    }

    fn list(&mut self, begin: Place) -> Result<Node, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                break;
            }
            items.extend(self.node(event, span)?);
        }
        Ok(Node {
            place: begin,
            content: Content::List(items),
        })
    }

    fn map(&mut self, begin: Place) -> Result<Node, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let Some(key_node) = self.node(event, span)? else {
                continue;
            };
            let place = key_node.place;
            let value = loop {
                let (event, span) = self.next()?;
                if let Some(value) = self.node(event, span)? {
                    break value;
                }
            };
            if is_merge {
                merged.push(value);
                continue;
            }
            let Some(key) = key(key_node.content) else {
                self.problems.push(Problem {
                    place,
                    message: "a key must be a text".into(),
                    help: "Quote it, or write the map as a list".into(),
                });
                continue;
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                self.problems.push(Problem {
                    place,
                    message: format!(
                        "the key {key:?} stands here again; it is in line {} already",
                        first.place.line
                    ),
                    help: "Keep one of the two".into(),
                });
                continue;
            }
            entries.push(Entry { key, place, value });
        }
        for source in merged {
            self.merge(&mut entries, source);
        }
        Ok(Node {
            place: begin,
            content: Content::Map(entries),
        })
    }

    /// `<<: *defaults`, or a list of such: what is written out in the map itself counts more, then the first.
    fn merge(&mut self, entries: &mut Vec<Entry>, source: Node) {
        match source.content {
            Content::Map(more) => {
                for entry in more {
                    if entries.iter().all(|have| have.key != entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Content::List(sources) => {
                for source in sources {
                    self.merge(entries, source);
                }
            }
            _ => self.problems.push(Problem {
                place: source.place,
                message: "only a map can be merged by <<".into(),
                help: "Let << point at a map, or at a list of maps".into(),
            }),
        }
    }
}

/// A key as `kubectl` writes it in JSON.
fn key(content: Content) -> Option<String> {
    match content {
        Content::String(text) => Some(text),
        Content::Bool(truth) => Some(truth.to_string()),
        Content::Number(number) => Some(number.to_string()),
        Content::Null | Content::List(_) | Content::Map(_) => None,
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
        _ => 0,
    }
}

fn place(span: &Span) -> Place {
    let range = span.byte_range().unwrap_or_default();
    Place {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
        start: range.start,
        end: range.end.max(range.start),
    }
}
