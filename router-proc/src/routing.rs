//! From a complete request to what is to be done about it.
//!
//! A configuration is compiled once into a [`RouteTable`]. [`evaluate`] then leads each request from
//! its listener through routes, steps and fallbacks to a [`Decision`], and what the connection sends
//! and logs afterwards is made from the same [`RequestContext`]. Nothing here waits or reads from a
//! socket; the only system calls are those that open the files of a `share`.
//!
//! A request that ends at a `return` or an application by constant patterns allocates nothing.

pub mod client_address;
mod context;
mod evaluate;
mod index;
mod items;
mod location;
mod matching;
mod request_id;
mod response_fields;
mod route_log;
mod table;
mod time_text;
pub mod variables;

pub use context::{RequestCache, RequestContext, RequestTimes};
pub use evaluate::{Decision, EvaluationError, evaluate};
pub use location::encode_path;
pub use response_fields::{
    ResponseFacts, ResponseFields, ResponseFieldsView, apply_response_headers,
};
pub use table::{ActionRef, AppIndex, CompileError, ListenerTarget, RouteTable};

#[cfg(test)]
pub(crate) mod tests;
