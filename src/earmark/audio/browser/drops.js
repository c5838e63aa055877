/** Files that are dropped on a page. */

/**
 * Show a cover while files are held over the page, and hand on those that are dropped.
 * @param {HTMLElement} cover gets the class `shown`
 * @param {() => boolean} isOpen whether files can be taken now
 * @param {(files: FileList) => void} take is called with what is dropped, open or not
 */
export function listenForDrops(cover, isOpen, take) {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (isShown) => (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    cover.classList.toggle("shown", isShown && isOpen());
  };
  window.addEventListener("dragenter", show(true));
  window.addEventListener("dragover", show(true));
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && show(false)(event));
  window.addEventListener("drop", (event) => {
    show(false)(event);
    if (holdsFiles(event)) take(event.dataTransfer.files);
  });
}
