import { LoginMemory } from '../../src/auth/login-memory.js';

const NO_FAILURE = { free: 1, pause: 1_000, longestPause: 60_000, memory: 60_000 };

function together(): [LoginMemory, LoginMemory] {
  const policies = { addressPolicy: NO_FAILURE, userPolicy: NO_FAILURE };
  const first = new LoginMemory(policies);
  const second = new LoginMemory({ ...policies, snapshot: first.snapshot() });
  first.share((event) => second.take(event));
  second.share((event) => first.take(event));
  return [first, second];
}

describe('the memories of two processes of a server', () => {
  it('count failures together', () => {
    const [first, second] = together();
    first.fail('addresses', '192.0.2.1');
    expect(second.wait('addresses', '192.0.2.1')).toBe(0);
    second.fail('addresses', '192.0.2.1');
    for (const each of [first, second]) expect(each.wait('addresses', '192.0.2.1')).toBeGreaterThan(0);
  });

  it('know the same places', () => {
    const [first, second] = together();
    first.learn('192.0.2.1 anna');
    expect(second.knows('192.0.2.1 anna')).toBe(true);
  });

  it("accept each other's nonces, each of them once", () => {
    const [first, second] = together();
    const nonce = first.nonce();
    expect(second.useNonce(nonce, 1)).toBe(true);
    expect(first.useNonce(nonce, 1)).toBe(false);
    expect(first.useNonce(nonce, 2)).toBe(true);
    expect(new LoginMemory().useNonce(first.nonce(), 1)).toBe(false);
  });

  it('begin with what the other has learned', () => {
    const [first] = together();
    for (let failure = 0; failure < 2; failure++) first.fail('users', 'anna');
    first.learn('192.0.2.1 anna');
    const late = new LoginMemory({ userPolicy: NO_FAILURE, snapshot: first.snapshot() });
    expect(late.wait('users', 'anna')).toBeGreaterThan(0);
    expect(late.knows('192.0.2.1 anna')).toBe(true);
  });
});
