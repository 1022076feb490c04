//! Whether a request is one that a step is for.

use conf::{Match, MatchError, NamedPatterns, PatternSet, Scheme};

use super::context::RequestContext;
use super::evaluate::EvaluationError;
use super::items::NamedItems;
use super::response_fields::ResponseFacts;
use super::variables;
use crate::http::RequestHead;

/// Whether all that `matching` asks for holds. The order is the order in which failures count.
pub(super) fn matches(
    matching: &Match,
    ctx: &mut RequestContext<'_>,
) -> Result<bool, EvaluationError> {
    let Match {
        condition,
        scheme,
        host,
        uri,
        method,
        headers,
        arguments,
        cookies,
        query,
        source,
        destination,
    } = matching;
    if let Some(condition) = condition
        && !variables::condition_holds(condition, ctx, &ResponseFacts::default())?
    {
        return Ok(false);
    }
    let scheme_holds = match scheme {
        None => true,
        Some(Scheme::Http) => !ctx.is_tls,
        Some(Scheme::Https) => ctx.is_tls,
    };
    let holds = scheme_holds
        && text_matches(host.as_ref(), ctx.head.host())?
        && text_matches(uri.as_ref(), ctx.head.path())?
        && text_matches(method.as_ref(), ctx.head.method())?
        && match headers {
            None => true,
            Some(patterns) => headers_match(patterns, ctx.head)?,
        }
        && match arguments {
            None => true,
            Some(patterns) => items_match(patterns, ctx.arguments())?,
        }
        && match cookies {
            None => true,
            Some(patterns) => items_match(patterns, ctx.cookies())?,
        }
        && match query {
            None => true,
            Some(patterns) => patterns.matches(ctx.decoded_query())?,
        }
        && source.as_ref().is_none_or(|addresses| addresses.matches(&ctx.peer))
        && destination.as_ref().is_none_or(|addresses| addresses.matches(&ctx.local));
    Ok(holds)
}

fn text_matches(patterns: Option<&PatternSet>, subject: &[u8]) -> Result<bool, MatchError> {
    patterns.map_or(Ok(true), |patterns| patterns.matches(subject))
}

fn headers_match(patterns: &NamedPatterns, head: &RequestHead) -> Result<bool, MatchError> {
    patterns
        .matches(|name| head.fields().filter(move |field| field.is(name)).map(|field| field.value))
}

fn items_match(patterns: &NamedPatterns, items: &NamedItems) -> Result<bool, MatchError> {
    patterns.matches(|name| items.values(name))
}
