use super::*;

#[test]
fn shown_escapes_every_character_that_hides_or_reorders_text() {
    let ranges = [
        '\0'..='\u{1f}',
        '\u{7f}'..='\u{a0}',
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{180e}'..='\u{180e}',
        '\u{2000}'..='\u{200f}',
        '\u{2028}'..='\u{202f}',
        '\u{205f}'..='\u{206f}',
        '\u{2800}'..='\u{2800}',
        '\u{3000}'..='\u{3000}',
        '\u{3164}'..='\u{3164}',
        '\u{e000}'..='\u{f8ff}',
        '\u{fdd0}'..='\u{fdef}',
        '\u{fe00}'..='\u{fe0f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff0}'..='\u{fffb}',
        '\u{ffff}'..='\u{ffff}',
        '\u{e0000}'..='\u{e01ef}',
        '\u{100000}'..='\u{10ffff}',
    ];
    for c in ranges.into_iter().flatten() {
        let text = format!("a{c}b");
        let shown = shown(&text);
        assert!(shown.is_ascii() && shown.len() > 3, "{c:?} became {shown}");
        assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{c:?}");
    }
    assert_eq!(shown("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
}

#[test]
fn shown_leaves_names_of_any_language_as_they_are() {
    for text in
        ["", "a b", "geheimnis-ü", "e\u{301}te\u{301}", "密码", "पासवर्ड", "รหัสผ่าน", "🔑", "\\u"]
    {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn shown_escapes_combining_marks_beyond_two_in_a_row() {
    let text = format!("a{}", "\u{301}".repeat(4));
    assert_eq!(shown(&text), "a\u{301}\u{301}\\u{301}\\u{301}");
    assert_eq!(quoted("\u{301}a"), "\"\\u{301}a\"");
}

#[test]
fn quoted_is_short_and_cannot_be_left_by_its_content() {
    assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    assert_eq!(quoted("a\"; do this"), "\"a\\\"; do this\"");
    assert_eq!(quoted("\\u{a}"), "\"\\\\u{a}\"");
    assert!(quoted(&"é".repeat(99)).len() < 90);
    let hidden = quoted(&"\u{200b}".repeat(1 << 20));
    assert!(hidden.len() < 90 && hidden.ends_with("\\u{200b}...\""), "{hidden}");
}

#[test]
fn foreign_identifiers_pass_only_if_they_look_like_one() {
    assert_eq!(identifier("Forbidden.NoPermission"), Some("Forbidden.NoPermission"));
    for bad in ["", "a b", "x/y", &"a".repeat(65), "<html>", "é"] {
        assert_eq!(identifier(bad), None, "{bad}");
    }
}
