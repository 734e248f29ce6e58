// What axe finds in the theme, and a style sheet cannot mend: a table that is wider than its place can be reached,
// and so moved, by the keyboard; and the box with a block's copy button is no landmark, of which there would be dozens.
const mend = () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
  for (const box of document.querySelectorAll("nav.md-code__nav")) box.setAttribute("role", "none");
};
new MutationObserver(mend).observe(document.querySelector(".md-content"), { childList: true, subtree: true });
new ResizeObserver(mend).observe(document.body);
