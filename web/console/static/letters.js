// Dead letters: all of a page can be chosen at once.
"use strict";

(function chooseAll() {
  const button = document.getElementById("all");
  if (!button) return;
  const boxes = button.form.querySelectorAll("input[name=letter]");
  button.hidden = false;
  button.addEventListener("click", () => {
    const isEach = [...boxes].every((box) => box.checked);
    boxes.forEach((box) => { box.checked = !isEach; });
  });
})();
