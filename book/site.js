// Pictures of Mermaid: its library, three megabytes, is loaded by pages that have one.
(() => {
    if (!document.querySelector("pre.mermaid")) return;
    const script = document.createElement("script");
    script.src = path_to_root + "mermaid.min.js";
    script.onload = () => mermaid.initialize({ startOnLoad: false, theme: "neutral" }) || mermaid.run();
    document.head.append(script);
})();
