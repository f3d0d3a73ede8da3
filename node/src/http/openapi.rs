//! The OpenAPI document, generated from the handlers of [`super::api`].

use linli_domain::commands::Command;
use utoipa::OpenApi as _;
use utoipa::openapi::schema::{AdditionalProperties, Array, ArrayBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi};

use super::api::Paths;

/// The document that `/api/v1/openapi.json` serves.
pub fn document() -> OpenApi {
    let mut document = Paths::openapi();
    document.info = InfoBuilder::new()
        .title("Linli 邻里")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "One street's node: read what it knows and how sure it is, record acts, follow changes. Errors are \
             {code, zh, en, next}. Writes from browsers need the session cookie and the same origin; programs send \
             `Authorization: Bearer` with the token from the data directory's file `api-token`.",
        ))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("linli_session")));
    components.add_security_scheme("session", cookie);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    document
}

/// A command: `do` names the act, its particulars stand beside it.
pub(super) fn command() -> Object {
    let act = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Command::words()))
        .description(Some("The act. A particular that is missing or unknown is refused by its name."));
    ObjectBuilder::new()
        .property("do", act)
        .required("do")
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Several commands, in order.
pub(super) fn commands() -> Array {
    ArrayBuilder::new().items(command()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_documented_and_nothing_else() {
        let source = concat!(
            include_str!("api.rs"),
            include_str!("admissions.rs"),
            include_str!("strangers.rs"),
            include_str!("losses.rs"),
            include_str!("machine.rs")
        );
        let mut routes: Vec<String> = source
            .split(".route(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|path| path.starts_with('/'))
            .map(|path| format!("/api/v1{path}"))
            .collect();
        routes.sort();
        let mut documented: Vec<String> = document().paths.paths.keys().cloned().collect();
        documented.sort();
        assert_eq!(routes, documented);
        assert!(routes.len() >= 14);
    }

    #[test]
    fn every_act_is_named_where_commands_are_described() {
        let text = serde_json::to_value(document()).unwrap();
        let named = &text["components"]["schemas"]["Act"]["properties"]["command"]["properties"]["do"]["enum"];
        assert_eq!(named.as_array().map(Vec::len), Some(Command::words().len()), "{text}");
        assert!(named.as_array().unwrap().contains(&"report_incident".into()));
    }

    #[test]
    fn references_lead_somewhere_and_operations_have_names_of_their_own() {
        let text = serde_json::to_value(document()).unwrap();
        let (mut references, mut names) = (vec![], vec![]);
        walk(&text, &mut |key, value| match key {
            "$ref" => references.extend(value.as_str().map(str::to_owned)),
            "operationId" => names.extend(value.as_str().map(str::to_owned)),
            _ => {}
        });
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(text.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    fn walk(value: &serde_json::Value, visit: &mut impl FnMut(&str, &serde_json::Value)) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                visit(key, value);
                walk(value, visit);
            }),
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            _ => {}
        }
    }
}
