//! What is refused when it is loaded: where, and what to write instead.

use super::*;

/// Each row: expression with `^` where the error must stand, and a part of its message.
#[track_caller]
fn refuses_in(scope: &Scope, rows: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (marked, part) in rows {
        let at = marked.find('^').expect("a mark") + "#[".len();
        let expression = marked.replacen('^', "", 1);
        match parse_in(&expression, scope) {
            Ok(_) => wrong += &format!("{expression} is accepted\n"),
            Err(error) if error.at != at || !error.message.contains(part) => {
                wrong += &format!("{expression}: {error}\n  expected at {at}: {part}\n");
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn syntax_errors_say_where_and_what_instead() {
    refuses_in(
        &EVERYTHING,
        &[
            ("^", "a value is missing here"),
            ("  ^", "a value is missing here"),
            ("(1^", "`)` is missing"),
            ("1 ^)", "this `)` closes nothing"),
            ("[1, 2^", "`,` or `]` is missing"),
            ("[1, ^]", "a value should stand here"),
            ("[1 ^2]", "two values need an operator"),
            ("upper('a'^", "`,` or `)` is missing"),
            ("1^, 2", "a list stands in `[…]`"),
            ("1 ^] ", "the expression ends here"),
            ("'a' ^'b'", "two values need an operator"),
            ("1 ++ ^", "a value is missing here"),
            ("^++ 1", "a value should stand here"),
            ("^and true", "a value is missing before `and`"),
            ("^'a", "`'` is missing"),
            ("^\"a'", "`\"` is missing"),
            ("'a^\\q'", "`\\q` is no escape"),
            ("'^\\u12'", "four hexadecimal digits"),
            ("'^\\ud800'", "four hexadecimal digits"),
            ("'^$(attributes.method)'", "join with `++`"),
            ("'^$name'", "a dollar sign is written `\\$`"),
            ("1 ^/* a", "`*/` is missing"),
            ("^1e400", "past what 64-bit floating point holds"),
            ("^1x", "runs into what follows"),
        ],
    );
    refuses_in(
        &EVERYTHING,
        &[
            ("attributes.headers.^", "a name should stand here"),
            ("attributes.headers.^1", "a name should stand here"),
            ("attributes.headers.^.host", "descendants"),
            ("attributes.headers.^*host", "multi-value"),
            ("attributes.headers.^@host", "attribute selectors"),
            ("attributes.headers.host^?", "`!= null`"),
            ("attributes.headers.host^!", "`!` stands before"),
            ("attributes.headers.x^-forwarded-for", "`['x-…']`"),
            ("[1, 2][0 ^to 1]", "ranges are not supported"),
            ("[1][^]", "a value should stand here"),
            ("[1][0^", "`]` is missing"),
            ("1 ^= 1", "write `==`"),
            ("1 ^~= 1", "write `==`"),
            ("true ^&& true", "write `and`"),
            ("true ^|| true", "write `or`"),
            ("1 ^+ 1", "write `++` to join"),
            ("2 ^- 1", "arithmetic is not supported"),
            ("^-attributes.method", "a minus sign stands before a number"),
            ("2 ^* 2", "arithmetic"),
            ("'a' splitBy ^/b/", "regular expressions"),
            ("^{a: 1}", "objects can't be written"),
            ("1 ^as String", "no casts"),
            ("^do 1", "an expression is one value"),
            ("if ^true 1 else 2", "stands in parentheses"),
            ("if (true) 1^", "`else` is missing"),
            ("if (true) 1 ^elsse 2", "did you mean `else`?"),
            ("1 ^else 2", "belongs to no `if`"),
            ("'a' ^contain 'b'", "did you mean `contains`?"),
            ("'a' ^upper 'b'", "`upper` is no operator"),
            ("^é", "means nothing here"),
            ("'a' ^\u{a0}", "means nothing here"),
        ],
    );
}

#[test]
fn functions_are_known_by_name_and_count_of_arguments() {
    refuses_in(
        &EVERYTHING,
        &[
            ("^uper('a')", "did you mean `upper`?"),
            ("^splitby('a', ',')", "did you mean `splitBy`?"),
            ("^replace('a', 'b', 'c')", "there are contains, lower, sizeOf"),
            (
                "^dw::Core::substringAfter('a', 'b')",
                "`dw::core::Strings::substringAfter`",
            ),
            (
                "^dw::core::String::substringAfter('a', 'b')",
                "`dw::core::Strings::substringAfter`",
            ),
            ("^upper()", "takes 1 argument, not 0"),
            ("^upper('a', 'b')", "takes 1 argument, not 2"),
            ("^splitBy('a')", "takes 2 arguments, not 1"),
            ("^uuid(1)", "takes no arguments, not 1"),
            ("^uuid", "`uuid(…)`"),
            ("'a' ++ ^upper", "`upper(…)`"),
            ("^do('a')", "an expression is one value"),
        ],
    );
}

/// What would be read otherwise than it looks, and could only fail.
#[test]
fn misleading_precedence_is_refused() {
    refuses_in(
        &EVERYTHING,
        &[
            ("'a' ^contains 'b' and true", "put parentheses round it"),
            ("true and 'a' ^contains 'b'", "put parentheses round it"),
            (
                "attributes.method ^contains 'b' or 'c' contains 'd'",
                "put parentheses round it",
            ),
            ("'a' ^splitBy ',' == ['a']", "put parentheses round it"),
            ("!'a' ^contains 'b'", "put parentheses round it"),
            ("^not('a' == 'b') and true", "`not (… and …)`"),
            ("^not(true) == false", "`!(…)`"),
            ("'a,b' splitBy (',')^[0]", "select of the result"),
            ("'a,b' splitBy((','))^[0]", "select of the result"),
        ],
    );
    evaluates(&[
        ("('a' contains 'b') and true", "false"),
        ("true and ('a' contains 'a')", "true"),
        ("[true] contains (1 == 1)", "true"),
        ("'a,b' splitBy(',')", "['a', 'b']"),
        ("not (true) and false", "true"),
    ]);
}

#[test]
fn unknown_names_are_errors() {
    refuses_in(
        &EVERYTHING,
        &[
            ("^attribute.method", "did you mean `attributes`?"),
            (
                "^request",
                "there are `attributes`, `authentication`, `payload`, `vars`",
            ),
            ("^GET", "text stands in quotes"),
            ("attributes.^methd", "did you mean `attributes.method`?"),
            ("attributes[^'Method']", "did you mean `attributes.method`?"),
            (
                "attributes^.clientCertificate",
                "there are `attributes.tls.version`",
            ),
            (
                "attributes.clientCertificate.^Subject",
                "did you mean `attributes.clientCertificate.subject`?",
            ),
            ("attributes.clientCertificate.^pem", "there are `subject`"),
            (
                "attributes.tls.^ciphersuite",
                "did you mean `attributes.tls.cipherSuite`?",
            ),
            ("attributes.tls[^1]", "must stand here as text"),
            ("attributes.^reasonPhrase", "there are `headers`, `method`"),
            ("^attributes", "is no value of its own; it has `headers`"),
            ("sizeOf(^attributes)", "is no value of its own"),
            ("attributes[attributes^.method]", "must stand here as text"),
            ("attributes.headers[^'x y']", "not a header name"),
            ("attributes.headers[^'']", "not a header name"),
            ("^authentication", "is no value of its own; it has `clientId`"),
            (
                "authentication.^clientID",
                "did you mean `authentication.clientId`?",
            ),
            (
                "authentication.^claims",
                "what a policy found out is in `authentication.properties`",
            ),
            ("authentication[^1]", "must stand here as text"),
            ("^vars", "there are `vars.apiName`"),
            ("vars.^apiname", "did you mean `vars.apiName`?"),
            ("vars.^organisation", "there are `vars.apiName`, `vars.claimSet`"),
            (
                "vars^.violation",
                "there are `vars.violation.clientId`, `vars.violation.policyName`",
            ),
            (
                "vars.violation.^clientName",
                "did you mean `vars.violation.clientId`?",
            ),
            ("vars[^1]", "must stand here as text"),
        ],
    );
}

#[test]
fn what_the_scope_has_not_is_an_error() {
    refuses_in(
        &Scope::REQUEST,
        &[
            ("attributes.^statusCode", "known of responses only"),
            ("^payload", "without the body"),
            ("^vars.claimSet", "no variables of its own"),
            ("attributes.^status", "there are `headers`, `method`"),
        ],
    );
    refuses_in(
        &Scope::RESPONSE,
        &[
            ("attributes.^method", "known of requests only"),
            ("attributes.^queryParams.a", "known of requests only"),
            ("^attributes", "it has `headers`, `statusCode`"),
        ],
    );
    let nowhere = Scope {
        request: false,
        response: false,
        authentication: false,
        payload: false,
        vars: &["claimSet"],
    };
    refuses_in(
        &nowhere,
        &[
            ("^attributes.method", "before there is a request"),
            ("^authentication.clientId", "nobody has been authenticated"),
        ],
    );
    assert!(parse_in("vars.claimSet.sub", &nowhere).is_ok());
    assert!(
        parse_in(
            "attributes.headers['a'] default attributes.statusCode",
            &Scope::RESPONSE
        )
        .is_ok()
    );
}

#[test]
fn a_template_is_all_text_or_all_expression() {
    for (template, at, part) in [
        ("Hello #[attributes.method]", 6, "#['text ' ++ attributes.method]"),
        ("#[attributes.method", 0, "has no `]`"),
        ("#[attributes.method] there", 0, "nothing may follow its `]`"),
        (
            "#['a'] and #['b']",
            11,
            "stands once, before the whole expression",
        ),
        ("  #[upper(1) x]", 13, "`x` is no operator"),
        ("#[", 0, "has no `]`"),
        ("#[]", 2, "a value is missing"),
    ] {
        let error = Template::parse(template, &EVERYTHING).expect_err(template);
        assert_eq!(error.at, at, "{template}: {error}");
        assert!(error.message.contains(part), "{template}: {error}");
    }
}
