use super::scan::{Limits, Threat, scan};
use proptest::prelude::*;

fn unlimited(text: &str) -> Result<(), Threat> {
    scan(text.as_bytes(), &Limits::NONE)
}

#[test]
fn xml_is_xml() {
    for good in [
        "<a/>",
        "<a />",
        "<a></a>",
        "<a></a >",
        "\u{feff}<a/>",
        "<?xml version=\"1.0\"?><a/>",
        "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<!-- x --><?style x?>\n<a/>\n<!-- y -->\n",
        "<a b=\"1\" c = 'x>y' xml:lang='de'/>",
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>x</s:Body></s:Envelope>",
        "<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1f600;</a>",
        "<a b='&lt;&#10;'/>",
        "<a><![CDATA[<b>&x;]]></a>",
        "<a>x > y ]] ]]&gt;</a>",
        "<ä-1.b>ö</ä-1.b>",
        "<a><?php echo ?></a>",
    ] {
        assert_eq!(unlimited(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ",
        "x",
        "<a>",
        "<a><b></a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a/>&amp;",
        "<![CDATA[x]]><a/>",
        "<a",
        "<a b></a>",
        "<a b=1/>",
        "<a b=\"1\"c=\"2\"/>",
        "<a b=\"1/>",
        "<a b='<'/>",
        "<a =\"1\"/>",
        "<a b=\"1\" =\"1\"/>",
        "<1a/>",
        "< a/>",
        "<a -b='1'/>",
        "<a></ a>",
        "<a></A>",
        "<a></a b='1'>",
        "<a>&</a>",
        "<a>&;</a>",
        "<a>& b;</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#99999999999999999999;</a>",
        "<a>&#+65;</a>",
        "<a>&#x;</a>",
        "<a>&#;</a>",
        "<a b='&'/>",
        "<a b='&#8;'/>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a>\0</a>",
        "<a>\u{fffe}</a>",
        "<!-- a -- b --><a/>",
        "<!-- a ---><a/>",
        "<!--",
        "<a><!-- </a>",
        "<!ELEMENT a ANY><a/>",
        "<!><a/>",
        " <?xml version='1.0'?><a/>",
        "<a/><?xml version='1.0'?>",
        "<?xml?><a/>",
        "<?xml version='1.1'?><a/>",
        "<?xml encoding='utf-8'?><a/>",
        "<?xml version='1.0' x='y'?><a/>",
        "<?XML version='1.0'?><a/>",
        "<?xml version='1.0'standalone='yes'?><a/>",
        "<??><a/>",
        "<?><a/>",
        "<a/>\0",
    ] {
        assert_eq!(unlimited(bad), Err(Threat::Malformed), "{bad:?}");
    }
}

#[test]
fn what_expands_or_fetches_is_refused() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]><lolz>&lol2;</lolz>";
    let file =
        "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]><a>&xxe;</a>";
    for with_type in [
        laughs,
        file,
        "<!DOCTYPE a><a/>",
        "<!doctype html><html/>",
        "<!DOCTYPE a SYSTEM 'http://evil.example/x.dtd'><a/>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://evil.example/x'> %p;]><a/>",
        "<a/><!DOCTYPE a>",
        "<a><!DOCTYPE a></a>",
    ] {
        assert_eq!(unlimited(with_type), Err(Threat::DocumentType), "{with_type}");
    }
    for entity in ["<a>&xxe;</a>", "<a b='&nbsp;'/>", "<a>&LT;</a>"] {
        assert_eq!(unlimited(entity), Err(Threat::UndeclaredEntity), "{entity}");
    }
}

#[test]
fn utf8_alone_is_read() {
    let utf16: Vec<u8> = "\u{feff}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(scan(&utf16, &Limits::NONE), Err(Threat::NotUtf8));
    let without_mark: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(scan(&without_mark, &Limits::NONE), Err(Threat::Malformed));
    assert_eq!(scan(b"<a>\xe4</a>", &Limits::NONE), Err(Threat::NotUtf8));
    for encoding in ["ISO-8859-1", "UTF-16", "utf-7", "cp037", ""] {
        let text = format!("<?xml version='1.0' encoding='{encoding}'?><a/>");
        assert_eq!(unlimited(&text), Err(Threat::NotUtf8), "{encoding}");
    }
}

#[test]
fn one_attribute_stands_once() {
    assert_eq!(unlimited("<a b='1' b='2'/>"), Err(Threat::DuplicateAttribute));
    assert_eq!(
        unlimited("<a xmlns:b='1' c='' xmlns:b='2'/>"),
        Err(Threat::DuplicateAttribute)
    );
    assert_eq!(unlimited("<a b='1' B='2' x:b='3'><c b='4'/></a>"), Ok(()));
}

#[test]
fn each_limit_is_the_most_that_passes() {
    let limited = |change: fn(&mut Limits)| {
        let mut limits = Limits::NONE;
        change(&mut limits);
        limits
    };
    for (limits, passes, refused, threat) in [
        (
            limited(|limits| limits.depth = 2),
            "<a><b/><c>x</c></a>",
            "<a><b><c/></b></a>",
            Threat::Depth,
        ),
        (
            limited(|limits| limits.attributes = 1),
            "<a xmlns='u' b='1' xmlns:c='v'><d e='2'/></a>",
            "<a b='1' c='2'/>",
            Threat::Attributes,
        ),
        (
            limited(|limits| limits.children = 2),
            "<!-- 1 --><!-- 2 --><!-- 3 --><a> <b><c/><c/></b> <d/> x</a>",
            "<a><b/><!-- c --><?d?></a>",
            Threat::Children,
        ),
        (
            limited(|limits| limits.text = 4),
            "<a>äöü&#x1f600;<b>1234</b><![CDATA[5678]]></a>",
            "<a>12&lt;<![CDATA[45]]></a>",
            Threat::TextLength,
        ),
        (
            limited(|limits| limits.attribute = 2),
            "<a b='ä&amp;' c=''/>",
            "<a b='abc'/>",
            Threat::AttributeLength,
        ),
        (
            limited(|limits| limits.comment = 2),
            "<a><!--ää--></a>",
            "<!--abc--><a/>",
            Threat::CommentLength,
        ),
    ] {
        assert_eq!(scan(passes.as_bytes(), &limits), Ok(()), "{passes}");
        assert_eq!(scan(refused.as_bytes(), &limits), Err(threat), "{refused}");
    }
}

/// A megabyte of each thing that nests, repeats or grows, on a small stack.
#[test]
fn bombs_cost_a_walk() {
    let bombs = || {
        const SIZE: usize = 1024 * 1024;
        let deep = "<a>".repeat(SIZE / 7) + &"</a>".repeat(SIZE / 7);
        assert_eq!(unlimited(&deep), Ok(()));
        assert_eq!(unlimited(&"<a>".repeat(SIZE / 3)), Err(Threat::Malformed));
        let attributes: String = (0..100_000).map(|n| format!(" a{n:x}=''")).collect();
        assert_eq!(unlimited(&format!("<a{attributes}/>")), Ok(()));
        assert_eq!(
            unlimited(&format!("<a{}/>", " a=''".repeat(SIZE / 5))),
            Err(Threat::DuplicateAttribute)
        );
        assert_eq!(unlimited(&format!("<a>{}</a>", "&#65;".repeat(SIZE / 5))), Ok(()));
        assert_eq!(
            unlimited(&format!("<a>{}</a>", "<!---->".repeat(SIZE / 7))),
            Ok(())
        );
        assert_eq!(unlimited(&format!("<a>{}</a>", "]".repeat(SIZE))), Ok(()));
        for open in [
            "<",
            "<!",
            "<!--",
            "<![CDATA[",
            "<!DOCTYPE [",
            "<?",
            "&",
            "<a b='",
            "</",
        ] {
            assert!(unlimited(&open.repeat(SIZE / open.len())).is_err(), "{open}");
            assert!(
                unlimited(&format!("<a>{}", open.repeat(SIZE / open.len()))).is_err(),
                "{open}"
            );
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(bombs)
        .expect("a thread");
    thread.join().expect("every bomb was defused");
}

proptest! {
    #[test]
    fn any_markup_is_judged(text in "[<>/!?a-c&;#x0-9'\"= \\[\\]-]{0,40}") {
        let _ = unlimited(&text);
    }

    #[test]
    fn what_is_cut_is_refused(cut in 1..LETTER.len() - 1) {
        prop_assume!(LETTER.is_char_boundary(cut));
        prop_assert!(unlimited(&LETTER[..cut]).is_err());
    }
}

const LETTER: &str = "<?xml version='1.0'?><l:letter xmlns:l='urn:l' to='Jo &amp; Jo'><!-- no date --><l:text>Dear <b>Jo</b>, \
                      <![CDATA[1 < 2]]> &#169;</l:text></l:letter>";
