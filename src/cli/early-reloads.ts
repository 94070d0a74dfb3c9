type OnReload = (listener: () => void) => () => void;

/**
 * Takes SIGHUPs from now on, which would end the process, and gives one that came to the first listener there is: systemd may send it as soon as
 * the service is ready, and that it is before most of the program is loaded where it waited for a name.
 */
export function earlyReloads(onReload: OnReload): OnReload {
  let came = false;
  const undo = onReload(() => {
    came = true;
  });
  return (listener) => {
    const ended = onReload(listener);
    undo();
    if (came) listener();
    came = false;
    return ended;
  };
}
