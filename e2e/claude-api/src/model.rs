//! A language model that is only arithmetic: the same request always gets the same answer, and nothing outside is asked.

use std::time::Duration;

/// A model and what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// As a request names it.
    pub name: &'static str,
    /// Dollars for a million tokens read.
    pub input_usd: f64,
    /// Dollars for a million tokens written.
    pub output_usd: f64,
}

/// Every model that can be asked.
pub const MODELS: &[Model] = &[
    Model {
        name: "claude-opus",
        input_usd: 15.0,
        output_usd: 75.0,
    },
    Model {
        name: "claude-sonnet",
        input_usd: 3.0,
        output_usd: 15.0,
    },
    Model {
        name: "claude-haiku",
        input_usd: 1.0,
        output_usd: 5.0,
    },
];

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Identifies the answer; the same for the same question.
    pub id: String,
    /// The answer.
    pub text: String,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// The answer ended because it may not be longer.
    pub cut: bool,
    /// How long a real model would have been at it, in small.
    pub thinking: Duration,
}

impl Answer {
    /// Why it ended, as the API says it.
    pub fn stop_reason(&self) -> &'static str {
        if self.cut { "max_tokens" } else { "end_turn" }
    }
}

impl Model {
    /// The model of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// Answers a conversation with at most so many tokens.
    pub fn answer<'a>(&self, conversation: impl IntoIterator<Item = &'a str>, max_tokens: u64) -> Answer {
        let mut characters = 0;
        let mut hash = fnv(FNV_BASIS, self.name.as_bytes());
        for text in conversation {
            characters += text.chars().count() as u64;
            // A separator, or ["ab", "c"] and ["a", "bc"] would be the same conversation.
            hash = fnv(fnv(hash, text.as_bytes()), &[0xff]);
        }
        let wanted = 8 + hash % 56;
        let output_tokens = wanted.min(max_tokens);
        let mut state = hash;
        let words: Vec<&str> = (0..output_tokens)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                WORDS[(state >> 33) as usize % WORDS.len()]
            })
            .collect();
        Answer {
            id: format!("msg_{hash:016x}"),
            text: words.join(" "),
            input_tokens: characters.div_ceil(4).max(1),
            output_tokens,
            cut: output_tokens < wanted,
            thinking: Duration::from_millis(5 + hash % 40),
        }
    }

    /// Dollars for an answer.
    pub fn cost_usd(&self, answer: &Answer) -> f64 {
        (answer.input_tokens as f64 * self.input_usd + answer.output_tokens as f64 * self.output_usd) / 1e6
    }
}

const WORDS: &[&str] = &[
    "alert",
    "and",
    "answers",
    "at",
    "before",
    "dashboard",
    "every",
    "from",
    "in",
    "is",
    "it",
    "latency",
    "metric",
    "never",
    "of",
    "probe",
    "quietly",
    "request",
    "rule",
    "scrape",
    "service",
    "slowly",
    "that",
    "the",
    "then",
    "threshold",
    "to",
    "watches",
    "well",
    "when",
    "with",
    "without",
];

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

// FNV-1a and not the standard library's hasher, whose result may change with the compiler.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn haiku() -> &'static Model {
        Model::named("claude-haiku").unwrap()
    }

    #[test]
    fn the_same_question_gets_the_same_answer_on_every_machine() {
        let answer = haiku().answer(["hello"], 1000);
        assert_eq!(answer, haiku().answer(["hello"], 1000));
        assert_eq!(answer.id, "msg_e1cfa045e246df29");
    }

    #[test]
    fn another_question_or_another_model_gets_another_answer() {
        let id = |model: &str, conversation: &[&str]| {
            let model = Model::named(model).unwrap();
            model.answer(conversation.iter().copied(), 1000).id
        };
        let ids = [
            id("claude-haiku", &["ab", "c"]),
            id("claude-haiku", &["a", "bc"]),
            id("claude-opus", &["ab", "c"]),
        ];
        assert!(ids[0] != ids[1] && ids[0] != ids[2], "{ids:?}");
    }

    #[test]
    fn an_answer_is_never_longer_than_allowed_and_says_when_it_was_cut() {
        let whole = haiku().answer(["hello"], 1000);
        assert_eq!(whole.text.split(' ').count() as u64, whole.output_tokens);
        assert!(!whole.cut);
        let cut = haiku().answer(["hello"], 3);
        assert_eq!((cut.output_tokens, cut.cut), (3, true));
        assert!(whole.text.starts_with(&cut.text));
    }

    #[test]
    fn the_price_follows_both_directions() {
        let answer = Answer {
            input_tokens: 1_000_000,
            output_tokens: 2_000_000,
            ..haiku().answer(["hello"], 1)
        };
        assert!((haiku().cost_usd(&answer) - 11.0).abs() < 1e-9);
    }
}
