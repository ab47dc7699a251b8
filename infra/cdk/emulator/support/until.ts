/** What `ask` answers as soon as it answers anything; an error with what was waited for when that takes too long. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, seconds = 60): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let trouble: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      trouble = error;
    }
    await new Promise((resume) => setTimeout(resume, 100));
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause: trouble });
}
