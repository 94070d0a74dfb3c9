/**
 * Stands in a test worker in place of `async-hook-domain`, by which tap learns of an error that no test caught. That one follows every promise of
 * the process through async hooks, a third of the processor time of tests that live on promises. In a worker one test runs at a time, so the error
 * is the innermost running one's.
 */
import { type AsyncResource, executionAsyncResource } from 'node:async_hooks';

/** tap's handler of a test: what was thrown, and by which event it was heard of. */
type OnError = (error: unknown, event: string) => void;

/** Tests that have begun and are not over, in the order in which they began. */
const running = new Set<Domain>();

/** What tap makes for each test, within the scope of the resource that it runs the test in later. */
export class Domain {
  readonly onerror: OnError;
  #over = false;

  constructor(onerror: OnError) {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the name is tap's
    this.onerror = onerror;
    const resource = executionAsyncResource() as Partial<AsyncResource>;
    const { runInAsyncScope } = resource;
    // tap's root makes another one outside of any resource: that one is there from the start.
    if (runInAsyncScope === undefined) this.#begin();
    else {
      resource.runInAsyncScope = (...args: Parameters<AsyncResource['runInAsyncScope']>) => {
        this.#begin();
        return Reflect.apply(runInAsyncScope, resource, args) as never;
      };
    }
  }

  #begin(): void {
    if (!this.#over) running.add(this);
  }

  /** The test is over; what is still thrown goes to the one around it. */
  destroy(): void {
    this.#over = true;
    running.delete(this);
  }
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  const heard = (error: unknown): void => {
    // A test that listens itself means to have it.
    if (process.listenerCount(event) > 1) return;
    const domain = [...running].at(-1);
    if (domain === undefined) throw error;
    domain.onerror(error, event);
  };
  process.on(event, heard);
}
