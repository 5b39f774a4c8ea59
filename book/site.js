// Pictures of Mermaid: its library, three megabytes, is loaded by pages that have one.
(() => {
    if (!document.querySelector("pre.mermaid")) return;
    const script = document.createElement("script");
    script.src = path_to_root + "mermaid.min.js";
    script.onload = () => mermaid.initialize({ startOnLoad: false, theme: "neutral" }) || mermaid.run();
    document.head.append(script);
})();

// The same page in the other language.
(() => {
    const bar = document.querySelector("#mdbook-menu-bar .right-buttons, .menu-bar .right-buttons");
    if (!bar) return;
    const chinese = document.documentElement.lang === "zh-CN";
    const root = new URL(path_to_root || "./", location.href);
    const page = location.href.slice(root.href.length);
    const link = document.createElement("a");
    link.href = chinese ? new URL("../" + page, root) : new URL("zh-CN/" + page, root);
    link.textContent = chinese ? "English" : "中文";
    link.lang = chinese ? "en" : "zh-CN";
    bar.prepend(link);
})();
