/** A canvas that fills its element and is sharp on any screen. */

export class Surface {
  /**
   * @param {HTMLElement} parent the canvas goes in here, behind what is there
   * @param {() => void} draw called when the size has changed
   */
  constructor(parent, draw) {
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    parent.prepend(this.canvas);
    [this.width, this.height] = [0, 0];
    this.observer = new ResizeObserver(([entry]) => {
      this.#resize(entry.contentRect);
      draw();
    });
    this.observer.observe(this.canvas);
  }

  /** Return the context of an empty canvas; its unit is a CSS pixel. */
  clear() {
    const context = this.canvas.getContext("2d");
    const scale = window.devicePixelRatio;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }

  /** Let go of the canvas. */
  remove() {
    this.observer.disconnect();
    this.canvas.remove();
  }

  #resize({ width, height }) {
    [this.width, this.height] = [width, height];
    this.canvas.width = Math.round(width * window.devicePixelRatio);
    this.canvas.height = Math.round(height * window.devicePixelRatio);
  }
}
