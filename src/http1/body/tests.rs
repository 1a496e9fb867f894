use proptest::prelude::*;

use super::*;

/// How a body ended: its content and what followed it, or the reason it was refused.
type Outcome = Result<(Vec<u8>, Ended), HeadError>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    /// So many bytes of the input after the body.
    Before(usize),
    NotYet,
}

/// Feeds `reads` one after another, keeping nothing that was consumed.
fn decode_reads<'i>(framing: Framing, reads: impl Iterator<Item = &'i [u8]>) -> Outcome {
    let mut decoder = BodyDecoder::new(framing);
    let mut content = Vec::new();
    let mut after = 0;
    for mut read in reads {
        loop {
            match decoder.decode(read)? {
                Event::Data { skip, length } => {
                    assert!(length > 0);
                    content.extend_from_slice(&read[skip..skip + length]);
                    read = &read[skip + length..];
                }
                Event::NeedMore { skip } => {
                    assert_eq!(skip, read.len());
                    assert!(!decoder.is_complete());
                    break;
                }
                Event::Complete { skip } => {
                    assert!(decoder.is_complete());
                    after += read.len() - skip;
                    break;
                }
            }
        }
    }
    Ok((
        content,
        if decoder.is_complete() {
            Ended::Before(after)
        } else {
            Ended::NotYet
        },
    ))
}

/// The outcome, which must be the same whole, split once at any place, and byte by byte.
fn decode(framing: Framing, input: &[u8]) -> Outcome {
    let whole = decode_reads(framing, std::iter::once(input));
    // Larger inputs repeat themselves; the places near their ends stand for the others.
    let places = (0..=input.len()).filter(|n| *n < 300 || *n + 300 > input.len());
    for place in places {
        let (a, b) = input.split_at(place);
        assert_eq!(
            decode_reads(framing, [a, b].into_iter()),
            whole,
            "split at {place} of {}",
            input.escape_ascii()
        );
    }
    assert_eq!(decode_reads(framing, input.chunks(1)), whole);
    whole
}

fn content(framing: Framing, input: &[u8]) -> (String, Ended) {
    let (content, ended) =
        decode(framing, input).unwrap_or_else(|e| panic!("{}: {}", input.escape_ascii(), e.detail));
    (String::from_utf8(content).unwrap(), ended)
}

fn done(content: &str) -> (String, Ended) {
    (content.to_owned(), Ended::Before(0))
}

#[test]
fn a_body_of_known_length() {
    assert_eq!(content(Framing::Length(5), b"hello"), done("hello"));
    assert_eq!(
        content(Framing::Length(5), b"helloGET"),
        ("hello".to_owned(), Ended::Before(3))
    );
    assert_eq!(
        content(Framing::Length(5), b"hel"),
        ("hel".to_owned(), Ended::NotYet)
    );
    assert_eq!(
        content(Framing::Length(0), b"GET"),
        (String::new(), Ended::Before(3))
    );
    assert_eq!(content(Framing::None, b""), done(""));
    assert_eq!(
        content(Framing::Length(u64::MAX), b"x"),
        ("x".to_owned(), Ended::NotYet)
    );
}

#[test]
fn what_remains_is_known_of_a_length() {
    let mut decoder = BodyDecoder::new(Framing::Length(5));
    assert_eq!(decoder.remaining(), Some(5));
    assert_eq!(decoder.decode(b"he"), Ok(Event::Data { skip: 0, length: 2 }));
    assert_eq!(decoder.remaining(), Some(3));
    assert_eq!(decoder.decode(b""), Ok(Event::NeedMore { skip: 0 }));
    assert_eq!(decoder.decode(b"llo!"), Ok(Event::Data { skip: 0, length: 3 }));
    assert!(decoder.is_complete());
    assert_eq!(decoder.remaining(), Some(0));
    assert_eq!(decoder.decode(b"!"), Ok(Event::Complete { skip: 0 }));
    assert_eq!(BodyDecoder::new(Framing::Chunked).remaining(), None);
    assert_eq!(BodyDecoder::new(Framing::UntilClose).remaining(), None);
    assert_eq!(BodyDecoder::new(Framing::None).remaining(), Some(0));
}

#[test]
fn the_end_of_the_stream_ends_a_close_delimited_body_and_truncates_others() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose);
    assert_eq!(decoder.decode(b"abc"), Ok(Event::Data { skip: 0, length: 3 }));
    assert_eq!(decoder.decode(b""), Ok(Event::NeedMore { skip: 0 }));
    assert!(!decoder.is_complete());
    assert_eq!(decoder.end_of_stream(), Ok(()));
    assert!(decoder.is_complete());

    assert_eq!(BodyDecoder::new(Framing::None).end_of_stream(), Ok(()));
    let mut decoder = BodyDecoder::new(Framing::Length(2));
    assert_eq!(decoder.end_of_stream(), Err(Truncated));
    decoder.decode(b"ab").unwrap();
    assert_eq!(decoder.end_of_stream(), Ok(()));

    let chunked = b"5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for end in 0..=chunked.len() {
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let mut input = &chunked[..end];
        while let Event::Data { skip, length } = decoder.decode(input).unwrap() {
            input = &input[skip + length..];
        }
        let expected = if end == chunked.len() {
            Ok(())
        } else {
            Err(Truncated)
        };
        assert_eq!(decoder.end_of_stream(), expected, "after {end} bytes");
    }
}

#[test]
fn chunks_of_all_shapes() {
    let cases: &[(&str, &str)] = &[
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n",
            "01234567890123456789",
        ),
        ("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"),
        ("2\r\n\r\n\r\n3\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"),
        // extensions
        ("5;a\r\nhello\r\n0;last\r\n\r\n", "hello"),
        ("5;a=b;c=d;e\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5 ; foo\t=  bar ;x\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a=\"b;=, \\\"\\\\\t\"\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5;a=\"\" ;b=\"x\"\r\nhello\r\n0\r\n\r\n", "hello"),
        // trailers, dropped
        ("0\r\nX-T: v\r\n\r\n", ""),
        ("1\r\nx\r\n0\r\nA:\r\nHost: other\r\nB: \t\u{e9}\r\n\r\n", "x"),
    ];
    for (input, expected) in cases {
        assert_eq!(
            content(Framing::Chunked, input.as_bytes()),
            done(expected),
            "{input:?}"
        );
        // What follows belongs to the next message
        let more = [input.as_bytes(), b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(
            content(Framing::Chunked, &more),
            ((*expected).to_owned(), Ended::Before(16)),
            "{input:?}"
        );
    }
}

#[test]
fn malformed_chunks_are_refused() {
    let cases: &[&str] = &[
        // sizes
        "\r\n",
        ";a\r\n",
        "x",
        "g\r\n",
        "-5\r\n",
        "+5\r\n",
        "0x5\r\n",
        "5h\r\n",
        "1_0\r\n",
        " 5\r\n",
        "\t5\r\n",
        "5,\r\n",
        "5.\r\n",
        "\n5\r\n",
        "5\0\r\n",
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "00000000000000005\r\n",
        "10000000000000000\r\n",
        "\u{665}\r\n",
        // line ends
        "5\nhello",
        "5\r5",
        "5\rhello",
        "5\r\r\n",
        "5\r\nhello\n",
        "5\r\nhello\r0",
        "5\r\nhello0\r\n",
        "5\r\nhello world\r\n",
        "5\r\nhello\r\n\r\n",
        "5\r\nhello\r\n0\n",
        "5\r\nhello\r\n0\r\r",
        "5\r\nhello\r\n0\r\n\n",
        "0\r\n\rX",
        "0\r\nXXGET / HTTP/1.1\r\n",
        // extensions
        "5 \r\n",
        "5\t\r\n",
        "5 foo\r\n",
        "5;\r\n",
        "5; \r\n",
        "5;;a\r\n",
        "5;=b\r\n",
        "5;a=\r\n",
        "5;a= \r\n",
        "5;a =\r\n",
        "5;a \r\n",
        "5;a=b \r\n",
        "5;a b\r\n",
        "5;a=b c\r\n",
        "5;a=b=c\r\n",
        "5;a=\"b\r\n",
        "5;a=\"b\"c\r\n",
        "5;a=\"b\" \r\n",
        "5;a=\"\\\r\n",
        "5;a=\"\n",
        "5;a\n",
        "5;\nxxxx\r\n",
        "5;a=\"\0\"",
        "5;a=\"\u{7f}\"",
        "5;a=\"\\\u{1}\"",
        "5;(a)\r\n",
        "5;\u{e9}\r\n",
        "5;a\rb",
        "5;a=b\r\r\n",
        "5;a,b\r\n",
        "5;a=\u{e9}\r\n",
        // trailers
        "0\r\n X: v\r\n",
        "0\r\nX : v\r\n",
        "0\r\nX\r\n",
        "0\r\n: v\r\n",
        "0\r\nX: v\n",
        "0\r\nX: v\r\n\n",
        "0\r\nX: v\rY",
        "0\r\nX: \0",
        "0\r\nX: \u{1}",
        "0\r\nX: \u{7f}",
        "0\r\nX: v\r\n folded\r\n",
        "0\r\nX\tY: v\r\n",
        "0\r\n\u{e9}: v\r\n",
        "0\r\nX(: v\r\n",
    ];
    for input in cases {
        let outcome = decode(Framing::Chunked, input.as_bytes());
        assert_eq!(
            outcome.map_err(|e| e.kind),
            Err(HeadErrorKind::Malformed),
            "{input:?}"
        );
    }
}

#[test]
fn the_largest_chunk_is_63_bits() {
    assert_eq!(
        content(Framing::Chunked, b"7fffffffffffffff\r\nab"),
        ("ab".to_owned(), Ended::NotYet)
    );
    assert_eq!(
        content(Framing::Chunked, b"0fFfFfFfFfFfFfFf\r\nab"),
        ("ab".to_owned(), Ended::NotYet)
    );
}

#[test]
fn an_error_is_for_good() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let error = decoder.decode(b"x").unwrap_err();
    assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(error));
    assert_eq!(decoder.decode(b""), Err(error));
    assert!(!decoder.is_complete());
    assert_eq!(decoder.end_of_stream(), Err(Truncated));
}

#[test]
fn extensions_are_bounded_by_line_and_by_body() {
    let line = |bytes: usize| format!("1;{}\r\nx\r\n", "a".repeat(bytes - 1));
    let end = "0\r\n\r\n";
    assert_eq!(content(Framing::Chunked, (line(256) + end).as_bytes()), done("x"));
    assert!(decode(Framing::Chunked, (line(257) + end).as_bytes()).is_err());
    assert_eq!(
        content(Framing::Chunked, (line(256).repeat(16) + end).as_bytes()),
        done(&"x".repeat(16))
    );
    assert!(
        decode(
            Framing::Chunked,
            (line(256).repeat(16) + &line(2) + end).as_bytes()
        )
        .is_err()
    );
    // Many short ones come to the same
    assert!(decode(Framing::Chunked, (line(2).repeat(2049) + end).as_bytes()).is_err());
}

#[test]
fn trailers_are_bounded_in_bytes_and_lines() {
    let trailers = |lines: usize, value: usize| {
        format!(
            "0\r\n{}\r\n",
            format!("A:{}\r\n", "v".repeat(value)).repeat(lines)
        )
    };
    assert_eq!(content(Framing::Chunked, trailers(64, 1).as_bytes()), done(""));
    let too_many = |input: String| decode(Framing::Chunked, input.as_bytes()).map_err(|e| e.kind);
    assert_eq!(too_many(trailers(65, 1)), Err(HeadErrorKind::TooLarge));
    assert_eq!(
        content(Framing::Chunked, trailers(1, 8192 - 6).as_bytes()),
        done("")
    );
    assert_eq!(too_many(trailers(1, 8192 - 5)), Err(HeadErrorKind::TooLarge));
    assert_eq!(too_many(trailers(2, 4096)), Err(HeadErrorKind::TooLarge));
}

#[test]
fn each_read_is_handed_on_at_once() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    assert_eq!(
        decoder.decode(b"100\r\nabc"),
        Ok(Event::Data { skip: 5, length: 3 })
    );
    assert_eq!(decoder.decode(b"d"), Ok(Event::Data { skip: 0, length: 1 }));
}

proptest! {
    /// Any content in any chunks, read in any pieces, is the content again.
    #[test]
    fn chunks_are_undone(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..20),
        reads in prop::collection::vec(1usize..300, 1..100),
        extensions in any::<bool>(),
    ) {
        let mut encoded = Vec::new();
        for chunk in &chunks {
            let (prefix, length) = crate::http1::encode::chunk_prefix(chunk.len());
            if extensions {
                encoded.extend_from_slice(&prefix[..length - 2]);
                encoded.extend_from_slice(b" ;n=\"v\"\r\n");
            } else {
                encoded.extend_from_slice(&prefix[..length]);
            }
            encoded.extend_from_slice(chunk);
            encoded.extend_from_slice(b"\r\n");
        }
        encoded.extend_from_slice(crate::http1::encode::LAST_CHUNK);
        encoded.extend_from_slice(b"next");

        let mut sizes = reads.iter().cycle();
        let mut rest = encoded.as_slice();
        let reads = std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (read, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = more;
            Some(read)
        });
        let outcome = decode_reads(Framing::Chunked, reads);
        prop_assert_eq!(outcome, Ok((chunks.concat(), Ended::Before(4))));
    }

    /// Bytes without sense are refused or waited for; what is consumed is never more than what there is.
    #[test]
    fn nonsense_is_survived(input in prop::collection::vec(any::<u8>(), 0..300), like in "[0-9a-f;= \"\\\\\r\nA:]{0,100}") {
        let _ = decode(Framing::Chunked, &input);
        let _ = decode(Framing::Chunked, like.as_bytes());
        let _ = decode(Framing::Length(input.len() as u64 / 2), &input);
        let _ = decode(Framing::UntilClose, &input);
    }
}
