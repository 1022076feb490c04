//! Compression of responses.

use std::fmt;

use crate::node::{Kinds, Node, Valid};
use crate::pattern::{Case, Encoding, PatternSet, Syntax};
use crate::schema::{INTEGER, Member, Object, PATTERN, array, choice, object, one_of};
use crate::settings::mime_types::PATTERN_DETAIL;

pub(crate) static COMPRESSION: Object = Object::new(
    "compression",
    "Compression of responses.",
    &[
        Member::new("types", one_of(&[PATTERN, array(&PATTERN, PATTERN_DETAIL)]))
            .about("The MIME types that are compressed; letter case does not count.")
            .default("[]")
            .example(r#"["text/*", "application/json"]"#)
            .refuses(&[
                ("[1]", PATTERN_DETAIL),
                (r#""text/**""#, r#"The "match" pattern must not contain double "*" markers."#),
            ]),
        Member::new(
            "compressors",
            one_of(&[object(&COMPRESSOR), array(&object(&COMPRESSOR), COMPRESSORS_DETAIL)]),
        )
        .about("The encodings on offer, of which the client chooses; an object is one.")
        .default("[]")
        .example(r#"[{"encoding": "zstd"}, {"encoding": "gzip", "level": 6}]"#)
        .refuses(&[
            (r#"["gzip"]"#, COMPRESSORS_DETAIL),
            (r#"{"level": 1}"#, r#"Required parameter "encoding" is missing."#),
        ]),
    ],
);

const COMPRESSORS_DETAIL: &str = "The \"compressors\" array must contain only object values.";

static COMPRESSOR: Object = Object::new(
    "compressor",
    "One encoding on offer.",
    &[
        Member::new("encoding", choice(&["identity", "deflate", "gzip", "zstd", "br"]))
            .required()
            .about("The encoding; one that is not in the build is refused.")
            .example(r#""gzip""#)
            .refuses(&[(r#""GZIP""#, r#""GZIP" is not a supported compressor."#)]),
        Member::new("level", INTEGER)
            .about(
                "How much effort is made: -1 to 9 with `deflate` and `gzip`, -7 to 22 with \
                 `zstd`, 0 to 11 with `br`. Others are replaced by the default, with a notice in \
                 the log.",
            )
            .default_is("-1, 3 and 11")
            .example("6")
            .refuses(&[(
                "1.5",
                r#"The "level" value must be an integer number, but not a fractional number."#,
            )]),
        Member::new("min_length", INTEGER)
            .bytes()
            .about("The shortest response that is compressed; -1 is any.")
            .default("-1")
            .example("1024")
            .refuses(&[(
                r#""1k""#,
                r#"The "min_length" value must be an integer number, but not a string."#,
            )]),
    ],
);

/// The `compression` of the HTTP settings.
#[derive(Clone, Debug)]
pub struct Compression {
    /// The MIME types that are compressed.
    pub types: PatternSet,
    /// The encodings on offer, in order; with none, nothing is compressed.
    pub compressors: Vec<Compressor>,
}

/// One encoding on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressor {
    /// The encoding.
    pub encoding: ContentEncoding,
    /// The level to use; for `identity` it has no meaning.
    pub level: i32,
    /// The level asked for, if it is not one of the encoding's.
    pub rejected_level: Option<i64>,
    /// The shortest response that is compressed.
    pub min_length: Option<u64>,
}

/// A content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncoding {
    /// None.
    Identity,
    /// zlib's own format.
    Deflate,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Brotli.
    Brotli,
}

impl ContentEncoding {
    const ALL: [Self; 5] = [Self::Identity, Self::Deflate, Self::Gzip, Self::Zstd, Self::Brotli];

    /// The name in header fields and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }

    /// The lowest, the highest and the default level.
    fn levels(self) -> (i64, i64, i32) {
        match self {
            Self::Identity => (i64::MIN, i64::MAX, 0),
            Self::Deflate | Self::Gzip => (-1, 9, -1),
            Self::Zstd => (-7, 22, 3),
            Self::Brotli => (0, 11, 11),
        }
    }

    fn read(node: &Node<'_>) -> Valid<Self> {
        let features = &node.env().features;
        let is_built = |encoding: &Self| match encoding {
            Self::Identity => true,
            Self::Deflate | Self::Gzip => features.zlib,
            Self::Zstd => features.zstd,
            Self::Brotli => features.brotli,
        };
        let name = node.text()?;
        let mut encodings = Self::ALL.into_iter().filter(is_built);
        encodings
            .find(|encoding| *name == *encoding.name())
            .ok_or_else(|| node.fault(format!("\"{name}\" is not a supported compressor.")))
    }
}

impl fmt::Display for ContentEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Compression {
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut compression = Self { types: PatternSet::default(), compressors: Vec::new() };
        for member in node.members() {
            match member.name() {
                b"types" => {
                    let syntax = Syntax { encoding: Encoding::Plain, case: Case::Ignored };
                    compression.types = PatternSet::read(&member, syntax, PATTERN_DETAIL)?;
                }
                b"compressors" => compression.compressors = read_compressors(&member)?,
                _ => return Err(member.unknown(&COMPRESSION)),
            }
        }
        Ok(compression)
    }
}

fn read_compressors(node: &Node<'_>) -> Valid<Vec<Compressor>> {
    node.expect(Kinds::ARRAY | Kinds::OBJECT)?;
    if node.value().as_object().is_some() {
        return Ok(vec![Compressor::read(node)?]);
    }
    node.elements()
        .map(|element| {
            if element.value().as_object().is_none() {
                return Err(element.fault(COMPRESSORS_DETAIL));
            }
            Compressor::read(&element)
        })
        .collect()
}

impl Compressor {
    fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&["encoding"])?;
        let mut encoding = ContentEncoding::Identity;
        let mut asked_level = None;
        let mut min_length = None;
        for member in node.members() {
            match member.name() {
                b"encoding" => encoding = ContentEncoding::read(&member)?,
                b"level" => asked_level = Some(member.integer()?),
                b"min_length" => min_length = u64::try_from(member.integer()?).ok(),
                _ => return Err(member.unknown(&COMPRESSOR)),
            }
        }
        let (min, max, default) = encoding.levels();
        let accepted = asked_level.filter(|level| (min..=max).contains(level));
        let level = accepted.and_then(|level| i32::try_from(level).ok()).unwrap_or(default);
        let rejected_level = if accepted.is_none() { asked_level } else { None };
        Ok(Self { encoding, level, rejected_level, min_length })
    }

    /// The notice to log if the level asked for is not used.
    pub fn notice(&self) -> Option<String> {
        let Self { encoding, level, rejected_level, .. } = self;
        let asked = (*rejected_level)?;
        // The number in the notice has always been cut to eight bits.
        #[expect(clippy::cast_possible_truncation, reason = "cut on purpose")]
        let asked = asked as i8;
        Some(format!(
            "Overriding invalid compression level for [{encoding}] [{asked}] -> [{level}]"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, bare_environment, config, refuses, refuses_in};

    const FRAME: &str = r#"{"settings":{"http":{"compression":{@}}}}"#;

    fn compressors(text: &str) -> Vec<Compressor> {
        let config = config(&FRAME.replace('@', &format!(r#""compressors":{text}"#)));
        config.settings.http.compression.expect("is set").compressors
    }

    #[test]
    fn members_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                "",
                r#""types":"text/*""#,
                r#""types":["!text/css"],"compressors":[]"#,
                r#""compressors":{"encoding":"gzip"}"#,
                r#""compressors":[{"encoding":"br","level":100,"min_length":-1}]"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (r#""x":1"#, r#"Unknown parameter "x"."#),
                (r#""types":[1]"#, r#"The "match" pattern for "[null]" must be strings."#),
                (
                    r#""types":1"#,
                    r#"The "types" value must be either a string or an array, but not an integer number."#,
                ),
                (
                    r#""compressors":"gzip""#,
                    r#"The "compressors" value must be either an array or an object, but not a string."#,
                ),
                (
                    r#""compressors":["gzip"]"#,
                    r#"The "compressors" array must contain only object values."#,
                ),
                (r#""compressors":{}"#, r#"Required parameter "encoding" is missing."#),
                (r#""compressors":[{"level":1}]"#, r#"Required parameter "encoding" is missing."#),
                (
                    r#""compressors":{"encoding":"GZIP"}"#,
                    r#""GZIP" is not a supported compressor."#,
                ),
                (
                    r#""compressors":{"encoding":1}"#,
                    r#"The "encoding" value must be a string, but not an integer number."#,
                ),
                (
                    r#""compressors":{"encoding":"br","level":"1"}"#,
                    r#"The "level" value must be an integer number, but not a string."#,
                ),
                (
                    r#""compressors":{"encoding":"br","min_length":"1"}"#,
                    r#"The "min_length" value must be an integer number, but not a string."#,
                ),
                (r#""compressors":{"encoding":"br","x":1}"#, r#"Unknown parameter "x"."#),
            ],
        );
        refuses_in(
            &bare_environment(),
            FRAME,
            &[
                (
                    r#""compressors":{"encoding":"gzip"}"#,
                    r#""gzip" is not a supported compressor."#,
                ),
                (
                    r#""compressors":{"encoding":"zstd"}"#,
                    r#""zstd" is not a supported compressor."#,
                ),
                (r#""compressors":{"encoding":"br"}"#, r#""br" is not a supported compressor."#),
            ],
        );
    }

    #[test]
    fn levels_out_of_range_become_the_default() {
        for (text, level, rejected_level) in [
            (r#"{"encoding":"gzip"}"#, -1, None),
            (r#"{"encoding":"deflate","level":9}"#, 9, None),
            (r#"{"encoding":"deflate","level":10}"#, -1, Some(10)),
            (r#"{"encoding":"zstd","level":-7}"#, -7, None),
            (r#"{"encoding":"zstd","level":-8}"#, 3, Some(-8)),
            (r#"{"encoding":"br","level":0}"#, 0, None),
            (r#"{"encoding":"br","level":-1}"#, 11, Some(-1)),
            (r#"{"level":2,"encoding":"br"}"#, 2, None),
        ] {
            let compressor = compressors(text).remove(0);
            assert_eq!((compressor.level, compressor.rejected_level), (level, rejected_level));
        }
        assert_eq!(compressors(r#"{"encoding":"br","min_length":5}"#)[0].min_length, Some(5));
        assert_eq!(compressors(r#"[{"encoding":"br","min_length":-5}]"#)[0].min_length, None);
    }

    #[test]
    fn the_notice_shows_eight_bits_of_the_level() {
        let compressor = |rejected_level| Compressor {
            encoding: ContentEncoding::Gzip,
            level: -1,
            rejected_level,
            min_length: None,
        };
        assert_eq!(compressor(None).notice(), None);
        assert_eq!(
            compressor(Some(300)).notice().as_deref(),
            Some("Overriding invalid compression level for [gzip] [44] -> [-1]")
        );
    }
}
