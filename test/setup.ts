/** One seed for all property tests: what holds today holds tomorrow; a new counterexample is looked for by changing it. */
import { configureGlobal } from 'fast-check';

configureGlobal({ seed: 1703 });
