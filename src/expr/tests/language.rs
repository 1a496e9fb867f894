//! What each operator, function, selector and variable comes to.

use super::*;

#[test]
fn literals_are_themselves() {
    evaluates(&[
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("1", "1"),
        ("-1", "-1"),
        ("1.5e3", "1500"),
        ("2E-2", "0.02"),
        ("''", "''"),
    ]);
    evaluates(&[
        (r#""double 'single'""#, "'double \\'single\\''"),
        (r"'a\n\t\\\'\u00e9\$x'", "'a\\n\\t\\\\\\'\\xc3\\xa9$x'"),
        ("'5$ and $'", "'5$ and $'"),
        ("[]", "[]"),
        ("[1, 'a', [true, null]]", "[1, 'a', [true, null]]"),
        ("[attributes.method, 1]", "['GET', 1]"),
        ("( ( 1 ) )", "1"),
        ("/* why */ 1 // because", "1"),
        ("1 // because\n ++ 'a'", "'1a'"),
    ]);
}

#[test]
fn attributes_are_the_messages() {
    evaluates(&[
        ("attributes.method", "'GET'"),
        ("attributes['method']", "'GET'"),
        ("attributes.'method'", "'GET'"),
        (
            "attributes.queryString",
            "'size=m&tag=a&tag=b&name=J%C3%BCrgen+K&%73ort=up&bare&bad=%zz&=none'",
        ),
        ("attributes.requestPath", "'/orders/4711'"),
        ("attributes.requestUri", "'/orders/4711?size=m'"),
        ("attributes.localAddress", "'192.0.2.1:8081'"),
        ("attributes.remoteAddress", "'192.0.2.33:50000'"),
        ("attributes.scheme", "'http'"),
        ("attributes.version", "'HTTP/1.1'"),
        ("attributes.statusCode", "200"),
        ("authentication.clientId", "'client-7'"),
        ("authentication.clientName", "'shop'"),
        ("authentication.principal", "null"),
        ("authentication.properties.jwt", "'a.b.c'"),
        ("authentication.properties.claims.sub", "'ada'"),
        ("authentication['properties']['claims']['aud'][-1]", "'stock'"),
        ("payload", r#"'{\"user\":{\"id\":7}}'"#),
        ("payload.user.id", "7"),
        ("payload['user'].none.deeper", "null"),
        ("vars.apiName", "'orders-v1'"),
        ("vars.claimSet.sub", "'ada'"),
        ("vars['claimSet'].level", "3"),
        ("vars.violation.clientId", "'client-9'"),
        ("vars.violation.policyName", "null"),
    ]);
}

#[test]
fn headers_are_found_in_any_case_and_lines_of_one_name_are_one_value() {
    evaluates(&[
        ("attributes.headers['host']", "'api.example.com'"),
        ("attributes.headers['HOST']", "'api.example.com'"),
        ("attributes.headers.host", "'api.example.com'"),
        ("attributes.headers.'x-raw'", r"'caf\xe9'"),
        ("attributes.headers['x-twice']", "'one, two'"),
        ("attributes.headers['x-empty']", "''"),
        ("attributes.headers['x-none']", "null"),
        ("attributes.headers['x-none']['deeper'][3]", "null"),
        ("attributes.headers['X-' ++ 'Twice']", "'one, two'"),
        ("attributes.headers[attributes.headers['x-none']]", "null"),
        (
            "attributes.headers[['host']]",
            "error at 20: `selecting a header` has no meaning for an array",
        ),
        ("(attributes.headers)['x-twice']", "'one, two'"),
        ("sizeOf(attributes.headers)", "8"),
        (
            "(attributes.headers -- ['x-raw', 'x-accents', 'x-forwarded-for', 'x-twice', 'x-flag', 'x-number', 'Host'])",
            "{host: 'api.example.com', x-empty: ''}",
        ),
    ]);
}

#[test]
fn query_parameters_are_decoded_and_the_first_of_a_name_counts() {
    let rows = [
        ("attributes.queryParams.size", "'m'"),
        ("attributes.queryParams['tag']", "'a'"),
        ("attributes.queryParams.name", r"'J\xc3\xbcrgen K'"),
        ("attributes.queryParams.sort", "'up'"),
        ("attributes.queryParams.bare", "''"),
        ("attributes.queryParams.bad", "'%zz'"),
        ("attributes.queryParams['']", "'none'"),
        ("attributes.queryParams.none", "null"),
        ("attributes.queryParams[lower('SIZE')]", "'m'"),
        ("attributes.queryParams[null]", "null"),
        (
            "attributes.queryParams",
            r"{size: 'm', tag: 'a', name: 'J\xc3\xbcrgen K', sort: 'up', bare: '', bad: '%zz', : 'none'}",
        ),
    ];
    evaluates(&rows);
    // The same from a query string that the view made.
    let exchange = Exchange {
        query_is_owned: true,
        ..exchange()
    };
    for (expression, expected) in rows {
        let template = parse(expression);
        let value = template.evaluate(&exchange).expect(expression);
        assert_eq!(show(&value), expected, "{expression}");
    }
    let without = Exchange::default();
    for (expression, expected) in [
        ("attributes.queryParams.size", "null"),
        ("attributes.queryParams", "{}"),
        ("attributes.queryString", "null"),
        ("attributes.headers", "{}"),
        ("attributes.statusCode", "null"),
        ("payload", "null"),
        ("payload.a", "null"),
        ("vars.claimSet.sub", "null"),
        ("sizeOf(payload)", "null"),
    ] {
        let template = parse(expression);
        let value = template.evaluate(&without).expect(expression);
        assert_eq!(show(&value), expected, "{expression}");
    }
}

#[test]
fn selectors_are_null_safe_and_count_from_both_ends() {
    evaluates(&[
        ("['a', 'b', 'c'][0]", "'a'"),
        ("['a', 'b', 'c'][-1]", "'c'"),
        ("['a', 'b', 'c'][-3]", "'a'"),
        ("['a', 'b', 'c'][3]", "null"),
        ("['a', 'b', 'c'][-4]", "null"),
        ("[attributes.method, 'b'][1]", "'b'"),
        ("[attributes.method, 'b'][-2]", "'GET'"),
        ("[attributes.method, 'b'][2]", "null"),
        ("'abc'[1]", "'b'"),
        ("'abc'[-1]", "'c'"),
        ("'abc'[3]", "null"),
        ("'abc'[-4]", "null"),
        ("''[0]", "null"),
        ("attributes.headers['x-accents'][0]", r"'\xc3\x87'"),
        ("attributes.headers['x-accents'][1]", "'a'"),
        ("attributes.headers['x-accents'][-5]", r"'\xc3\x87'"),
        ("attributes.headers['x-accents'][5]", "null"),
        ("attributes.headers['x-raw'][3]", r"'\xe9'"),
        ("upper('abc')[1]", "'B'"),
        ("null[0]", "null"),
        ("null.a", "null"),
        ("null[null]", "null"),
        ("vars.claimSet.none.deeper[0]", "null"),
        ("vars.claimSet.roles.name", "['reader', 'writer']"),
        ("vars.claimSet.roles['of']", "['orders']"),
        ("vars.claimSet.roles.none", "null"),
        ("vars.claimSet.roles[2].name", "'writer'"),
        ("vars.claimSet['lev' ++ 'el']", "3"),
        ("(vars.claimSet.roles ++ [1]).name", "['reader', 'writer']"),
    ]);
    evaluates(&[
        ("['a'][0.5]", "error at 7: an index is a whole number"),
        ("['a'][1e300]", "error at 7: an index is a whole number"),
        (
            "vars.claimSet[0]",
            "error at 15: `selecting by number` has no meaning for an object",
        ),
        (
            "'abc'.length",
            "error at 7: `selecting by name` has no meaning for a text",
        ),
        (
            "(1)['a']",
            "error at 5: `selecting by name` has no meaning for a number",
        ),
        (
            "true[0]",
            "error at 6: `selecting by number` has no meaning for true or false",
        ),
        (
            "['a'][true]",
            "error at 7: `selecting` has no meaning for true or false",
        ),
    ]);
}

#[test]
fn equality_never_casts() {
    evaluates(&[
        ("1 == 1.0", "true"),
        ("0 == -0", "true"),
        ("'a' == \"a\"", "true"),
        ("'a' == 'A'", "false"),
        ("'1' == 1", "false"),
        ("'1' != 1", "true"),
        ("'true' == true", "false"),
        ("null == null", "true"),
        ("attributes.headers['x-none'] == null", "true"),
        ("attributes.headers['x-empty'] == null", "false"),
        ("[1, [2]] == [1, [2]]", "true"),
        ("[1, 2] == [1]", "false"),
        ("('a,b' splitBy ',') == ['a', 'b']", "true"),
        ("vars.claimSet == authentication.properties.claims", "true"),
        (
            "vars.claimSet == (authentication.properties.claims -- ['sub'])",
            "false",
        ),
        ("attributes.statusCode == 200", "true"),
        ("attributes.statusCode == '200'", "false"),
    ]);
}

#[test]
fn order_casts_the_right_side_to_the_left() {
    evaluates(&[
        ("1 < 2", "true"),
        ("2 <= 2", "true"),
        ("2 < 2", "false"),
        ("3 >= 2", "true"),
        ("2 > 2", "false"),
        ("-0 < 0", "false"),
        ("'a' < 'b'", "true"),
        ("'B' < 'a'", "true"),
        ("'abc' >= 'ab'", "true"),
        ("'123' > 12", "true"),
        ("'9' > 12", "true"),
        ("9 > '12'", "false"),
        ("9 < ' 12 '", "true"),
        ("attributes.statusCode >= '200'", "true"),
        ("false < true", "true"),
        (
            "9 < 'twelve'",
            "error at 4: a text is compared with a number and is none",
        ),
        (
            "9 < 'inf'",
            "error at 4: a text is compared with a number and is none",
        ),
        (
            "9 < ''",
            "error at 4: a text is compared with a number and is none",
        ),
        (
            "9 < '+1'",
            "error at 4: a text is compared with a number and is none",
        ),
        (
            "9 < '0x9'",
            "error at 4: a text is compared with a number and is none",
        ),
        (
            "null < 1",
            "error at 7: there is no order between null and a number",
        ),
        (
            "1 < null",
            "error at 4: there is no order between a number and null",
        ),
        (
            "[1] < [2]",
            "error at 6: there is no order between an array and an array",
        ),
        (
            "true < 1",
            "error at 7: there is no order between true or false and a number",
        ),
    ]);
}

#[test]
fn conditions_are_true_or_false() {
    evaluates(&[
        ("true and true", "true"),
        ("true and false", "false"),
        ("false or true", "true"),
        ("false or false", "false"),
        ("true and true and false", "false"),
        ("false or false or true", "true"),
        ("not true", "false"),
        ("!true", "false"),
        ("!!true", "true"),
        ("not not false", "false"),
        ("not (true)", "false"),
        ("not(true)", "false"),
        ("if (true) 1 else 2", "1"),
        ("if (false) 1 else 2", "2"),
        ("if (false) 1 else if (true) 2 else 3", "2"),
        ("attributes.headers['x-flag'] and true", "true"),
        ("if (attributes.headers['x-flag']) 'on' else 'off'", "'on'"),
        // What follows the one that decides is not evaluated.
        ("false and (null < 1)", "false"),
        ("true or (null < 1)", "true"),
        ("if (true) 1 else upper([])", "1"),
        ("'a' default upper([])", "'a'"),
        (
            "1 and true",
            "error at 2: a condition is true or false, not a number",
        ),
        (
            "if (attributes.headers['x-none']) 1 else 2",
            "error at 24: a condition is true or false, not null",
        ),
        (
            "not 'yes'",
            "error at 6: a condition is true or false, not a text",
        ),
        (
            "true and attributes.method",
            "error at 21: a condition is true or false, not a text",
        ),
    ]);
}

#[test]
fn default_stands_for_null_alone() {
    evaluates(&[
        ("null default 'a'", "'a'"),
        ("'' default 'a'", "''"),
        ("false default true", "false"),
        ("null default null default 'c'", "'c'"),
        (
            "attributes.headers['x-none'] default attributes.remoteAddress",
            "'192.0.2.33:50000'",
        ),
        (
            "splitBy(attributes.headers['x-none'], ',')[0] default 'none'",
            "'none'",
        ),
        (
            "upper([]) default 'a'",
            "error at 2: `upper` has no meaning for an array",
        ),
    ]);
}

#[test]
fn joining_casts_to_text_and_refuses_null() {
    evaluates(&[
        ("'a' ++ 'b'", "'ab'"),
        ("'a' ++ 1 ++ true", "'a1true'"),
        ("1 ++ 2", "'12'"),
        ("1.5 ++ ''", "'1.5'"),
        ("'n=' ++ 1e21", "'n=1E21'"),
        ("'n=' ++ 123456789012", "'n=123456789012'"),
        ("'n=' ++ -0", "'n=0'"),
        ("[1] ++ [2, [3]] ++ []", "[1, 2, [3]]"),
        ("('a,b' splitBy ',') ++ ['c']", "['a', 'b', 'c']"),
        (
            "(upper('a,b') splitBy ',') ++ vars.claimSet.aud",
            "['A', 'B', 'shop', 'stock']",
        ),
        ("'a' ++ attributes.headers['x-raw']", r"'acaf\xe9'"),
        (
            "'a' ++ null",
            "error at 6: `++` has no meaning for null; `default`",
        ),
        ("null ++ 'a'", "error at 7: `++` has no meaning for null"),
        ("'a' ++ ['b']", "error at 6: `++` has no meaning for an array"),
        ("['a'] ++ 'b'", "error at 8: `array ++` has no meaning for a text"),
        (
            "vars.claimSet ++ 'b'",
            "error at 16: `++` has no meaning for an object",
        ),
    ]);
}

#[test]
fn removing_takes_out_all_that_is_alike() {
    evaluates(&[
        ("[0, 1, 1, 2] -- [1, 2]", "[0]"),
        ("['a', 'b'] -- ['A']", "['a', 'b']"),
        ("('a,b,a' splitBy ',') -- ['a']", "['b']"),
        ("[1] -- [1] -- [1]", "[]"),
        (
            "vars.claimSet -- ['roles', 'aud', 'admin', 'none', 1]",
            "{sub: 'ada', level: 3, nothing: null}",
        ),
        ("payload.user -- payload.user", "{}"),
        ("payload.user -- vars.claimSet", "{id: 7}"),
        ("null -- ['a']", "null"),
        ("'a' -- ['a']", "error at 6: `--` has no meaning for a text"),
        ("['a'] -- 'a'", "error at 8: `--` has no meaning for a text"),
        (
            "vars.claimSet -- 'sub'",
            "error at 16: `--` has no meaning for a text",
        ),
    ]);
}

#[test]
fn contains_asks_texts_and_arrays() {
    evaluates(&[
        ("contains('mulesoft', 'les')", "true"),
        ("'mulesoft' contains 'les'", "true"),
        ("'mulesoft' contains 'Les'", "false"),
        ("'mulesoft' contains ''", "true"),
        ("'a1' contains 1", "true"),
        ("[1, '2'] contains 1", "true"),
        ("[1, '2'] contains 2", "false"),
        ("['GET', 'HEAD'] contains attributes.method", "true"),
        ("('a, b' splitBy ', ') contains 'b'", "true"),
        ("vars.claimSet.aud contains 'stock'", "true"),
        ("[null] contains null", "true"),
        ("null contains 'a'", "false"),
        ("attributes.headers['x-none'] contains 'a'", "false"),
        (
            "'a' contains null",
            "error at 6: `contains` has no meaning for null",
        ),
        (
            "vars.claimSet contains 'sub'",
            "error at 16: `contains` has no meaning for an object",
        ),
    ]);
}

#[test]
fn texts_are_cased_trimmed_and_measured() {
    evaluates(&[
        ("lower('AbC')", "'abc'"),
        ("upper('AbC')", "'ABC'"),
        ("upper(attributes.headers['x-accents'])", r"'\xc3\x87A VA'"),
        ("lower(attributes.headers['x-accents'])", r"'\xc3\xa7a va'"),
        ("upper(attributes.headers['x-raw'])", r"'CAF\xe9'"),
        ("upper('straße')", "'STRASSE'"),
        ("upper(1.5e30)", "'1.5E30'"),
        ("lower(true)", "'true'"),
        ("lower(null)", "null"),
        ("upper(null)", "null"),
        (r"trim(' \t a b \n')", "'a b'"),
        ("trim('   ')", "''"),
        ("trim(null)", "null"),
        ("trim(1)", "'1'"),
        ("sizeOf('')", "0"),
        ("sizeOf(attributes.headers['x-accents'])", "5"),
        ("sizeOf(attributes.headers['x-raw'])", "4"),
        ("sizeOf(['a', 'b'])", "2"),
        ("sizeOf(vars.claimSet)", "6"),
        ("sizeOf('a,b,,' splitBy ',')", "4"),
        ("sizeOf(null)", "null"),
        ("sizeOf(12)", "error at 2: `sizeOf` has no meaning for a number"),
        ("trim([])", "error at 2: `trim` has no meaning for an array"),
        (
            "lower(vars.claimSet)",
            "error at 2: `lower` has no meaning for an object",
        ),
    ]);
}

#[test]
fn texts_are_split() {
    evaluates(&[
        ("splitBy('192.88.99.0', '.')", "['192', '88', '99', '0']"),
        ("'a--b--c' splitBy '--'", "['a', 'b', 'c']"),
        ("'no split' splitBy 'NO'", "['no split']"),
        ("',a,' splitBy ','", "['', 'a', '']"),
        ("'' splitBy ','", "['']"),
        ("'héé' splitBy ''", r"['h', '\xc3\xa9', '\xc3\xa9']"),
        ("'' splitBy ''", "[]"),
        (
            "splitBy(attributes.headers['x-forwarded-for'], ',')[0]",
            "'203.0.113.9'",
        ),
        (
            "trim(splitBy(attributes.headers['x-forwarded-for'], ',')[-1])",
            "'198.51.100.7'",
        ),
        ("(attributes.headers['x-forwarded-for'] splitBy ',')[5]", "null"),
        ("splitBy(upper('a,b'), ',')[1]", "'B'"),
        ("splitBy(upper('a,b'), ',')[-2]", "'A'"),
        ("splitBy(upper('a,b'), ',')[-3]", "null"),
        ("splitBy('a1b', 1)", "['a', 'b']"),
        ("splitBy(12, '1')", "['', '2']"),
        ("splitBy(null, ',')", "null"),
        (
            "splitBy('a', null)",
            "error at 2: `splitBy` has no meaning for null",
        ),
        (
            "splitBy(['a'], ',')",
            "error at 2: `splitBy` has no meaning for an array",
        ),
    ]);
}

#[test]
fn substrings_are_those_that_the_vendor_documents() {
    evaluates(&[
        ("substringBefore(null, '-')", "null"),
        ("substringBefore('', '-')", "''"),
        ("substringBefore('abc', 'b')", "'a'"),
        ("substringBefore('abc', 'd')", "''"),
        ("substringBefore('abc', '')", "''"),
        ("substringBeforeLast('abcba', 'b')", "'abc'"),
        ("substringBeforeLast('abc', 'd')", "''"),
        ("substringBeforeLast('abc', '')", "'ab'"),
        ("substringBeforeLast('', '')", "''"),
        ("substringBeforeLast(null, '-')", "null"),
        ("substringAfter('abcba', 'b')", "'cba'"),
        ("substringAfter('abc', 'c')", "''"),
        ("substringAfter('abc', 'd')", "''"),
        ("substringAfter('abc', '')", "'abc'"),
        ("substringAfter(null, '-')", "null"),
        ("substringAfterLast('abcba', 'b')", "'a'"),
        ("substringAfterLast('abc', 'd')", "''"),
        ("substringAfterLast('abc', '')", "null"),
        ("substringAfterLast(null, '-')", "null"),
        ("'Bearer xyz' substringAfter ' '", "'xyz'"),
        ("dw::core::Strings::substringBefore(upper('a-b'), '-')", "'A'"),
        (
            "dw::core::Strings::substringAfterLast(upper('a::b'), '::')",
            "'B'",
        ),
        ("dw::Core::upper('a')", "'A'"),
        (
            "substringAfter('a', null)",
            "error at 2: `substringAfter` has no meaning for null",
        ),
    ]);
}

#[test]
fn a_uuid_is_version_4() {
    evaluates(&[
        ("uuid()", "'01234567-89ab-4def-8123-456789abcdef'"),
        ("sizeOf(uuid())", "36"),
    ]);
}

#[test]
fn operators_bind_as_in_dataweave() {
    evaluates(&[
        ("true or true and false", "true"),
        ("(true or true) and false", "false"),
        ("1 < 2 == true", "true"),
        ("1 == 1 and 2 == 2", "true"),
        ("1 == 1 or null < 1", "true"),
        // `not` reaches to the end of what follows, `!` to the end of one operand.
        ("not true or true", "false"),
        ("!true or true", "true"),
        ("!(true or true)", "false"),
        ("true and not 1 == 2", "true"),
        ("not null default true", "false"),
        // `default`, `++` and functions between their arguments bind loosest, from left to right.
        ("'a' ++ 'b' == 'ab'", "'afalse'"),
        ("('a' ++ 'b') == 'ab'", "true"),
        ("null default 'a' ++ 'b'", "'ab'"),
        ("'a' ++ null default 'b'", "error at 6"),
        ("'a' ++ (null default 'b')", "'ab'"),
        ("null default 'a' == 'a'", "true"),
        ("1 == 2 default 3", "false"),
        ("'a,b;c' splitBy ',' contains 'a'", "true"),
        ("'x-a,b' substringAfter '-' splitBy ','", "['a', 'b']"),
        ("[3] -- [3] ++ [4]", "[4]"),
        ("if (true) 'a' else 'b' ++ 'c'", "'a'"),
        ("(if (true) 'a' else 'b') ++ 'c'", "'ac'"),
        ("'x' ++ if (false) 'a' else 'b' ++ 'c'", "'xbc'"),
        ("if (true) 'a' ++ 'b' else 'c'", "'ab'"),
        ("not attributes.headers['x-none'] contains 'admin'", "true"),
    ]);
}

#[test]
fn values_become_text_and_conditions() {
    let exchange = exchange();
    for (expression, expected) in [
        ("null", ""),
        ("true", "true"),
        ("1", "1"),
        ("1.25", "1.25"),
        ("0.00000001", "1E-8"),
        ("'a'", "a"),
        ("[]", "[]"),
        (r#"['a"\\', 1, null, [true]]"#, r#"["a\"\\",1,null,[true]]"#),
        ("splitBy('a,b', ',')", r#"["a","b"]"#),
        (r"['\n\r\t\u0001']", r#"["\n\r\t\u0001"]"#),
        ("payload.user", r#"{"id":7}"#),
        ("payload.user -- []", r#"{"id":7}"#),
    ] {
        let template = parse(expression);
        let text = template.text(&exchange).expect(expression);
        assert_eq!(
            text.escape_ascii().to_string(),
            expected.as_bytes().escape_ascii().to_string(),
            "{expression}"
        );
    }
    assert_eq!(parse("'true'").condition(&exchange), Ok(true));
    assert_eq!(parse("false").condition(&exchange), Ok(false));
    for expression in ["'yes'", "1", "null", "[true]", "'TRUE'"] {
        assert!(parse(expression).condition(&exchange).is_err(), "{expression}");
    }
}

/// What is a part of something that outlives the evaluation is no copy of it.
#[test]
fn parts_are_borrowed() {
    let exchange = exchange();
    for expression in [
        "attributes.headers['host']",
        "attributes.queryParams.size",
        "attributes.method",
        "'literal'",
        "['a', 'b'][1]",
        "splitBy(attributes.headers['x-forwarded-for'], ',')[0]",
        "(attributes.headers['x-forwarded-for'] splitBy ', ')[-1]",
        "trim(attributes.headers['x-forwarded-for'])",
        "attributes.headers.host substringBefore '.'",
        "attributes.headers.host substringAfterLast '.'",
        "lower(attributes.headers.host)",
        "attributes.headers.host[0]",
        "attributes.headers['x-none'] default authentication.properties.jwt",
        "if (attributes.method == 'GET') payload else ''",
        "vars.claimSet.aud[0]",
    ] {
        let template = parse(expression);
        let value = template.evaluate(&exchange).expect(expression);
        assert!(matches!(value, Value::String(Cow::Borrowed(_))), "{expression}");
    }
}

#[test]
fn a_tree_keeps_the_last_of_equal_names() {
    let tree = Tree::object([
        ("a", Tree::Number(1.0)),
        ("b", Tree::Number(2.0)),
        ("a", Tree::Number(3.0)),
        ("a", Tree::Number(4.0)),
    ]);
    assert_eq!(show(&Value::from(&tree)), "{b: 2, a: 4}");
    assert_eq!(tree.get("a"), Some(&Tree::Number(4.0)));
    assert_eq!(tree.get("c"), None);
    assert_eq!(Tree::Null.get("a"), None);
}

#[test]
fn a_template_says_what_it_needs() {
    let needs = |expression: &str| {
        let template = parse(expression);
        [
            template.needs_payload(),
            template.needs_parsed_payload(),
            template.uses_request(),
            template.uses_response(),
            template.uses_headers(),
            template.uses_authentication(),
        ]
    };
    assert_eq!(needs("'a'"), [false; 6]);
    assert_eq!(needs("payload"), [true, false, false, false, false, false]);
    assert_eq!(needs("[payload.a]"), [true, true, false, false, false, false]);
    assert_eq!(
        needs("if (true) attributes.method else ''"),
        [false, false, true, false, false, false]
    );
    assert_eq!(
        needs("attributes.queryParams.a"),
        [false, false, true, false, false, false]
    );
    assert_eq!(
        needs("attributes.statusCode"),
        [false, false, false, true, false, false]
    );
    assert_eq!(
        needs("attributes.headers['a']"),
        [false, false, false, false, true, false]
    );
    assert_eq!(
        needs("sizeOf(attributes.headers)"),
        [false, false, false, false, true, false]
    );
    assert_eq!(
        needs("upper(authentication.clientId)"),
        [false, false, false, false, false, true]
    );

    let literal = Template::parse("plain [text]", &EVERYTHING).expect("a literal");
    assert_eq!(literal.literal(), Some("plain [text]"));
    assert_eq!(literal.text(&exchange()).as_deref(), Ok(&b"plain [text]"[..]));
    assert!(!literal.needs_payload());
    assert_eq!(parse("1").literal(), None);
    let spaced = Template::parse("  #[ 'a' ]\n", &EVERYTHING).expect("an expression");
    assert_eq!(spaced.text(&exchange()).as_deref(), Ok(&b"a"[..]));
    let literal = Template::parse("  \n", &EVERYTHING).expect("a literal");
    assert_eq!(literal.literal(), Some("  \n"));
}

#[test]
fn the_examples_of_the_documentation_evaluate() {
    let documentation = include_str!("../../../docs/expressions.md");
    let examples: Vec<&str> = (documentation.lines())
        .filter(|line| line.starts_with("#["))
        .collect();
    let exchange = exchange();
    let text = |example: &&str| {
        let template = Template::parse(example, &Scope::REQUEST).expect(example);
        let text = template.text(&exchange).expect(example);
        String::from_utf8_lossy(&text).into_owned()
    };
    let texts: Vec<String> = examples.iter().map(text).collect();
    assert_eq!(texts, ["203.0.113.9", "read", "none:/orders/4711", "true"]);
}
