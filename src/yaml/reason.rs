//! Reasons: what the parser found, in words for the author of a document, without any of its text.

use granit_parser::ErrorKind;

use super::{Malformed, Position};

pub(super) const OTHER: &str = "not valid YAML";

const TAB: &str = "not valid YAML: a tab is used for indentation, where only spaces may be";
const INDENTATION: &str = "not valid YAML: wrong indentation";
const TEMPLATE: &str = "not valid YAML: an unrendered template ({{ }})";

pub(super) fn of(text: &str, kind: &ErrorKind, at: Position) -> Malformed {
    let reason = words(kind);
    let tab = || if matches!(reason, TAB | INDENTATION) { tab(text, at) } else { None };
    template(text, at).or_else(tab).unwrap_or(Malformed { reason, at })
}

pub(super) fn complex_key(text: &str, at: Position) -> Malformed {
    let reason = "not valid here: a key that is a list or a mapping";
    template(text, at).unwrap_or(Malformed { reason, at })
}

/// On the line of the error or, since some errors show only at the next token, the one before.
fn template(text: &str, at: Position) -> Option<Malformed> {
    let found = [at.line, at.line.saturating_sub(1)].into_iter().find_map(|number| {
        let before = line(text, number).split_once("{{")?.0;
        let column = u32::try_from(before.chars().count()).ok()?.checked_add(1)?;
        Some(Position { line: number, column })
    });
    found.map(|at| Malformed { reason: TEMPLATE, at })
}

/// The tab itself, which may be on the line after the one where the parser stopped.
fn tab(text: &str, at: Position) -> Option<Malformed> {
    let found = [at.line, at.line.saturating_add(1)].into_iter().find_map(|number| {
        let mut indent = line(text, number).chars().take_while(|c| matches!(c, ' ' | '\t'));
        let column = u32::try_from(indent.position(|c| c == '\t')?).ok()?.checked_add(1)?;
        Some(Position { line: number, column })
    });
    found.map(|at| Malformed { reason: TAB, at })
}

/// As YAML has lines: they end with a line feed, a carriage return, or both.
fn line(text: &str, number: u32) -> &str {
    let mut rest = text;
    for _ in 1..number {
        let Some(end) = rest.find(['\n', '\r']) else { return "" };
        let length = if rest.get(end..).is_some_and(|at| at.starts_with("\r\n")) { 2 } else { 1 };
        rest = rest.get(end + length..).unwrap_or_default();
    }
    rest.split(['\n', '\r']).next().unwrap_or_default()
}

fn words(kind: &ErrorKind) -> &'static str {
    use ErrorKind as K;
    match kind {
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar => TAB,
        K::UnexpectedCharacter { character } if character.is_control() => control(*character),
        K::UnexpectedCharacter { .. } => {
            "not valid YAML: a value that starts with % @ or ` needs quotes"
        }
        K::UnclosedQuotedScalar | K::DocumentIndicatorInQuotedScalar => {
            "not valid YAML: a quote is not closed"
        }
        K::UnclosedFlowCollection { .. }
        | K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping => "not valid YAML: a [ or { is not closed",
        K::MisplacedFlowCollectionEnd | K::MismatchedFlowCollectionEnd { .. } => {
            "not valid YAML: a ] or } closes nothing"
        }
        K::ExpectedFlowMappingSeparator | K::ExpectedFlowSequenceSeparator => {
            "not valid YAML: a comma or a closing bracket is missing"
        }
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => {
            "not valid YAML: there is text after a closing quote"
        }
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => "not valid YAML: an unknown escape (\\) in double quotes",
        K::UnknownAnchor | K::MissingAnchorOrAliasName => {
            "not valid YAML: an alias (*) of nothing (a value that starts with * or & needs quotes)"
        }
        K::UndeclaredTagHandle
        | K::ExpectedTagBang
        | K::InvalidTagTerminator
        | K::MissingTagUri
        | K::UnclosedVerbatimTag
        | K::InvalidTagEscape
        | K::InvalidTagUtf8LeadingByte
        | K::InvalidTagUtf8TrailingByte
        | K::InvalidTagUtf8
        | K::InvalidGlobalTagCharacter => {
            "not valid YAML: a broken tag (a value that starts with ! needs quotes)"
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement | K::InvalidMappingValueWhitespace => {
            "not valid YAML: a second \": \" on the line, or wrong indentation (a value with \": \" \
             needs quotes)"
        }
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            "not valid YAML: a \":\" is missing after a key, or wrong indentation"
        }
        K::InvalidIndentation
        | K::ExpectedBlockMappingKey
        | K::ExpectedBlockSequenceEntry
        | K::BlockSequenceEntryNotAllowed
        | K::BlockEntryInFlowCollection
        | K::InvalidBlockEntryWhitespace
        | K::MappingKeyNotAllowed
        | K::InvalidQuotedScalarIndent
        | K::InvalidFlowScalarIndent
        | K::InvalidBlockScalarIndent
        | K::ZeroBlockScalarIndent => INDENTATION,
        K::InvalidBlockScalarHeader => {
            "not valid YAML: there is text after | or > (a value that starts with | or > needs quotes)"
        }
        K::CommentNotSeparated | K::CommentInterceptedScalar => {
            "not valid YAML: a comment (#) in the middle of a value (a value with \" #\" needs quotes)"
        }
        K::PlainScalarStartsWithDashFlowIndicator => {
            "not valid YAML: a value that starts with - and a bracket or comma needs quotes"
        }
        K::BomInsideDocument => "not valid YAML: a byte order mark inside the document",
        K::RecursionLimitExceeded => "too large, too deeply nested, or too many aliases",
        K::ExpectedDocumentStart
        | K::InvalidDocumentEnd
        | K::MissingDocumentEndBeforeDirective
        | K::InvalidDirectiveTerminator
        | K::MissingDirectiveName
        | K::InvalidDirectiveName
        | K::MissingYamlVersion
        | K::MissingYamlVersionSeparator
        | K::YamlVersionTooLong
        | K::UnsupportedYamlMajorVersion
        | K::DuplicateVersionDirective
        | K::DuplicateTagDirective
        | K::InvalidTagDirectiveTerminator
        | K::ExpectedTagDirectiveBang => {
            "not valid YAML: a line that is neither a key nor a list entry (a value that starts with \
             % needs quotes)"
        }
        _ => OTHER,
    }
}

fn control(character: char) -> &'static str {
    match character {
        '\0' => "not valid YAML: a control character (U+0000), which YAML does not allow",
        '\u{8}' => "not valid YAML: a control character (U+0008), which YAML does not allow",
        '\u{1b}' => "not valid YAML: a control character (U+001B), which YAML does not allow",
        '\u{7f}' => "not valid YAML: a control character (U+007F), which YAML does not allow",
        _ => "not valid YAML: a control character, which YAML does not allow",
    }
}
