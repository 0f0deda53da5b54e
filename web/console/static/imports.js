// A file that is dropped on the form goes into its field, from where it is sent like any other.
"use strict";

(function takeDropped() {
  const form = document.querySelector("form.bring");
  const field = document.getElementById("file");
  const told = document.getElementById("drop-told");
  if (!form || !field) return;
  if (told) told.hidden = false;

  function hasFile(event) {
    return event.dataTransfer.types.includes("Files");
  }

  form.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    form.classList.remove("over");
    field.files = event.dataTransfer.files;
    field.focus();
  });
})();
