//! `docs/domain.md` carries the kind table as the code has it. `LINLI_TEST_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used)]

use linli_domain::events::kind_table_markdown;

const BEGIN: &str = "<!-- kind table: generated -->\n\n";
const END: &str = "\n<!-- end of kind table -->";

#[test]
fn the_page_carries_the_kind_table_of_the_code() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/domain.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let expected = kind_table_markdown();
    if std::env::var_os("LINLI_TEST_BLESS").is_some() {
        std::fs::write(&page, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(table, expected, "run the tests with LINLI_TEST_BLESS=1 to write the table anew");
    }
}
