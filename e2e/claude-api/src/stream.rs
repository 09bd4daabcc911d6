//! An answer word by word, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::api::App;
use crate::model::{Answer, Model};
use crate::trace;

/// Time between two words.
const PACE: Duration = Duration::from_millis(5);

/// The events of an answer. What was read and written is counted by who asks the model; here it is told how long the
/// first word took.
pub fn stream(app: Arc<App>, model: &'static Model, answer: &Answer, asked_at: Instant) -> Response {
    let begin = event(&json!({
        "type": "message_start",
        "message": {
            "id": answer.id, "type": "message", "role": "assistant", "model": model.name,
            "usage": {"input_tokens": answer.input_tokens},
        },
    }));
    let end = [
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": answer.stop_reason()},
            "usage": {"output_tokens": answer.output_tokens},
        }),
        json!({"type": "message_stop"}),
    ];
    // Every word holds the span of the model, which ends with the last one.
    let span = trace::model(model, answer);
    let words = answer.text.split_inclusive(' ');
    let words: Vec<_> = words.map(|word| (word.to_owned(), span.clone())).collect();
    let thinking = answer.thinking;
    let words = stream::iter(words.into_iter().enumerate()).then(move |(index, (word, _span))| {
        let app = Arc::clone(&app);
        async move {
            tokio::time::sleep(if index == 0 { thinking } else { PACE }).await;
            if index == 0 {
                app.metrics.first_token(model, asked_at.elapsed());
            }
            event(&json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}}))
        }
    });
    let events = stream::iter([begin])
        .chain(words)
        .chain(stream::iter(end.map(|data| event(&data))))
        .map(Ok::<_, Infallible>);
    Sse::new(events).into_response()
}

/// An event that is named after the type of what it holds.
fn event(data: &Value) -> Event {
    let name = data["type"].as_str().unwrap_or_default().to_owned();
    Event::default().event(name).data(data.to_string())
}
