import { Type, type Static } from 'typebox'

/**
 * A place in the hub's audit chain: the hash at `seq` fixes every entry up to it. Agents keep what they are told, so that nobody at the
 * hub can rewrite or cut the chain unnoticed (guarantee 8).
 */
export const Checkpoint = Type.Object({
  seq: Type.Integer({ minimum: 1 }),
  hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})
export type Checkpoint = Static<typeof Checkpoint>

/** What `qianzhi-agent audit --json` prints, and `qianzhi-hub audit verify --checkpoints` reads. */
export const CheckpointFile = Type.Object({
  agent: Type.String(),
  /** Public key of the hub that this agent pinned. */
  hubKey: Type.String(),
  /** The last one of each day, oldest first; `time` is the hub's. */
  checkpoints: Type.Array(Type.Object({ ...Checkpoint.properties, time: Type.String() })),
})
export type CheckpointFile = Static<typeof CheckpointFile>
