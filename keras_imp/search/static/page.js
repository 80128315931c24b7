"use strict";

const byId = (id) => document.getElementById(id);
const status = (text, isError = false) => {
  byId("status").textContent = text;
  byId("status").classList.toggle("error", isError);
};
let about = null;
// An answer to an older query than the last one is not shown.
let asked = 0;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
}

function preview(modality, source, label) {
  if (modality === "image") return make("img", { src: source, alt: label });
  if (modality === "video") {
    return make("video", { src: source, controls: true, preload: "metadata" });
  }
  return make("audio", { src: source, controls: true, preload: "none" });
}

function show(hits) {
  const best = Math.max(...hits.map((hit) => hit.similarity), 1e-6);
  byId("hits").replaceChildren(
    ...hits.map((hit, rank) => {
      const text = [hit.text].flat().find(Boolean) || "";
      const name = text || hit.label || hit.name;
      const width = `${Math.max(0, (100 * hit.similarity) / best)}%`;
      const bar = make("span");
      bar.style.width = width;
      const row = make("li", { title: hit.name });
      if (hit.has_file) {
        row.append(preview(about.modality, `item/${hit.position}`, name));
      }
      row.append(
        make("div", { className: "bar" }, bar),
        make("div", {}, `${rank + 1}. ${name}`),
        make("div", { className: "number" }, hit.similarity.toFixed(3)),
      );
      return row;
    }),
  );
}

async function ask(address, options = {}) {
  const number = ++asked;
  status("Searching …");
  try {
    const answer = await fetch(address, options);
    const content = await answer.json();
    if (number !== asked) return;
    if (!answer.ok) throw new Error(content.error);
    show(content.hits);
    status(`The ${content.hits.length} nearest of ${about.items.toLocaleString()}.`);
  } catch (error) {
    if (number !== asked) return;
    byId("hits").replaceChildren();
    status(error.message, true);
  }
}

function modalityOf(file) {
  const kind = file.type.split("/")[0];
  return about.queries.includes(kind) ? kind : about.modality;
}

async function drop(file) {
  const modality = modalityOf(file);
  const url = URL.createObjectURL(file);
  const shown = byId("query");
  byId("words").value = "";
  shown.hidden = false;
  shown.replaceChildren(preview(modality, url, file.name));
  await ask(`search?modality=${modality}`, { method: "POST", body: file });
  if (about.is_sparse && modality === "image") await showExperts(file);
}

async function showExperts(file) {
  const number = asked;
  const answer = await fetch("experts", { method: "POST", body: file });
  const figure = make("figure");
  if (answer.ok) {
    const source = URL.createObjectURL(await answer.blob());
    const label = "The expert that took each patch, by layer";
    figure.append(make("img", { src: source, alt: label, className: "experts" }));
    figure.append(make("figcaption", {}, label));
  } else {
    figure.append(make("figcaption", {}, (await answer.json()).error));
  }
  if (number === asked) byId("query").append(figure);
}

async function start() {
  about = await (await fetch("about")).json();
  const kinds = about.queries.filter((kind) => kind !== "text");
  byId("about").textContent =
    `${about.items.toLocaleString()} items: ${about.modality}`;
  byId("form").hidden = !about.queries.includes("text");
  byId("drop").hidden = !kinds.length;
  byId("drop-text").textContent =
    `Drop a file here (${kinds.join(" or ")}), or click to choose one.`;
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("query").hidden = true;
    ask(`search?words=${encodeURIComponent(byId("words").value)}`);
  });
  byId("file").addEventListener("change", (event) => {
    if (event.target.files.length) drop(event.target.files[0]);
  });
  const area = byId("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    area.addEventListener(name, (event) => {
      event.preventDefault();
      area.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) {
        drop(event.dataTransfer.files[0]);
      }
    });
  }
  const words = new URLSearchParams(location.search).get("words");
  if (words) {
    byId("words").value = words;
    ask(`search?words=${encodeURIComponent(words)}`);
  }
}

start().catch((error) => status(error.message, true));
