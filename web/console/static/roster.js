// A list from a file: read into the field, from where it goes the way of what is pasted.
"use strict";

(function fillFromFile() {
  // A body has 1 MiB, and each character may take several bytes of it.
  const MOST_BYTES = 300_000;
  const list = document.getElementById("list");
  const drop = document.getElementById("drop");
  const file = document.getElementById("file");
  const told = document.getElementById("file-told");
  if (!list || !drop) return;
  drop.hidden = false;

  // Spreadsheets write UTF-16 with a mark, or the code page of Windows.
  function decoded(bytes) {
    const marked = { 0xfffe: "utf-16le", 0xfeff: "utf-16be" }[(bytes[0] << 8) | bytes[1]];
    if (marked) return new TextDecoder(marked).decode(bytes);
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return new TextDecoder("windows-1252").decode(bytes);
    }
  }

  async function read(chosen) {
    if (!chosen) return;
    if (chosen.size > MOST_BYTES) {
      told.textContent = told.dataset.large;
      return;
    }
    const text = decoded(new Uint8Array(await chosen.arrayBuffer()));
    if (text.includes("\0")) {
      told.textContent = told.dataset.binary;
      return;
    }
    list.value = text;
    told.textContent = told.dataset.read;
    list.focus();
  }

  file.addEventListener("change", () => read(file.files[0]));
  list.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  list.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    read(event.dataTransfer.files[0]);
  });
})();
