//! The text of parameter `objects`: its YAML and its fields.

use super::{check, row};

#[tokio::test]
async fn mistakes_in_objects() {
    let rows = vec![
        row("`objects` is not there").parameter("objects", "").says("it lists what to mount"),
        row("`objects` is one object, not a list")
            .objects("objectName: web/plain")
            .says("start each object with \"- \""),
        row("two objects make the same file")
            .objects("- objectName: web/plain\n- objectName: web_plain")
            .says("give it another objectAlias"),
    ];
    check("Objects", rows).await;
}
