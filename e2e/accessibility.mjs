// What a page owes to those who use the keyboard, a screen reader, or see little.
import assert from "node:assert/strict";

// press moves the focus to the control of that accessible name with the Tab key,
// and presses a key there.
export async function press(page, name, key = "Enter") {
  await page.evaluate(() => document.activeElement.blur());
  for (let i = 0; i < 300; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((name) => {
      const e = document.activeElement;
      const label = e.getAttribute("aria-label") ?? e.labels?.[0]?.firstChild.textContent ?? e.textContent;
      return label.trim() === name;
    }, name)) {
      const outlined = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outlined, "none", `the focus on ${name} can't be seen`);
      return page.keyboard.press(key);
    }
  }
  assert.fail(`the Tab key does not lead to ${name}`);
}

// contrasts lists the elements whose text, or what stands in its place, stands out
// less than 4.5 to 1.
export function contrasts() {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color[3] !== 0) return color;
    }
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && (e.placeholder || [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())))
    .filter((e) => {
      const [a, b] = [luminance(parse(getComputedStyle(e, e.placeholder && "::placeholder").color)), luminance(behind(e))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    }).map((e) => e.outerHTML.slice(0, 120));
}

// unnamed lists what can have the focus and has no accessible name.
export async function unnamed(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  return nodes.filter((n) => !n.ignored && n.role?.value !== "RootWebArea" && n.role?.value !== "StaticText" &&
    n.properties?.some((p) => p.name === "focusable" && p.value.value) && !n.name?.value).map((n) => JSON.stringify(n.role));
}
