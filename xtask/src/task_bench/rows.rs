//! The table of what is measured under load, with the goals of the design.

/// A server, set up for one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Unitd,
    /// Ours, with one route in place of a thousand.
    UnitdOneRoute,
    Nginx,
    Granian,
    Gunicorn,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unitd => "unitd",
            Self::UnitdOneRoute => "unitd, one route",
            Self::Nginx => "nginx",
            Self::Granian => "granian",
            Self::Gunicorn => "gunicorn",
        }
    }
}

/// What the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Return,
    Routes,
    Static,
    Wsgi,
    Upload,
}

/// What a row asks of us, as a share of the second contender's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// CPU time per request, at most.
    CpuTime(f64),
    /// Requests per second, at least.
    Rate(f64),
}

/// One kind of work and who does it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) work: Work,
    pub(crate) path: &'static str,
    /// Ours first, then the one it is judged by, then others.
    pub(crate) contenders: &'static [Contender],
    pub(crate) goal: Goal,
}

/// How many routes the row of that name has; the last one matches.
pub(crate) const ROUTE_COUNT: usize = 1000;

/// Bytes of a body in the row of uploads: far more than is kept in memory.
pub(crate) const UPLOAD_LEN: usize = 8 * 1024 * 1024;

pub(crate) const ROWS: [Row; 6] = [
    Row {
        name: "return",
        what: "`return` 200",
        work: Work::Return,
        path: "/",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: Goal::CpuTime(0.85),
    },
    Row {
        name: "routes",
        what: "a thousand routes by uri, the last one matches",
        work: Work::Routes,
        path: "/route-999",
        contenders: &[Contender::Unitd, Contender::UnitdOneRoute],
        goal: Goal::CpuTime(1.1),
    },
    Row {
        name: "static-10k",
        what: "static file, 10 KB",
        work: Work::Static,
        path: "/10k.bin",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: Goal::CpuTime(0.75),
    },
    Row {
        name: "static-1m",
        what: "static file, 1 MB",
        work: Work::Static,
        path: "/1m.bin",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: Goal::CpuTime(1.0),
    },
    Row {
        name: "wsgi",
        what: "WSGI hello, 1 worker",
        work: Work::Wsgi,
        path: "/",
        contenders: &[Contender::Unitd, Contender::Granian, Contender::Gunicorn],
        goal: Goal::CpuTime(0.65),
    },
    Row {
        name: "upload",
        what: "bodies of 8 MB that a WSGI application, or what nginx proxies to, discards",
        work: Work::Upload,
        path: "/",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: Goal::Rate(1.0),
    },
];
