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
    /// CPU time per request, as a share of the second contender's.
    pub(crate) goal: f64,
}

/// How many routes the row of that name has; the last one matches.
pub(crate) const ROUTE_COUNT: usize = 1000;

pub(crate) const ROWS: [Row; 5] = [
    Row {
        name: "return",
        what: "`return` 200",
        work: Work::Return,
        path: "/",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: 0.85,
    },
    Row {
        name: "routes",
        what: "a thousand routes by uri, the last one matches",
        work: Work::Routes,
        path: "/route-999",
        contenders: &[Contender::Unitd, Contender::UnitdOneRoute],
        goal: 1.1,
    },
    Row {
        name: "static-10k",
        what: "static file, 10 KB",
        work: Work::Static,
        path: "/10k.bin",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: 0.75,
    },
    Row {
        name: "static-1m",
        what: "static file, 1 MB",
        work: Work::Static,
        path: "/1m.bin",
        contenders: &[Contender::Unitd, Contender::Nginx],
        goal: 1.0,
    },
    Row {
        name: "wsgi",
        what: "WSGI hello, 1 worker",
        work: Work::Wsgi,
        path: "/",
        contenders: &[Contender::Unitd, Contender::Granian, Contender::Gunicorn],
        goal: 0.65,
    },
];
