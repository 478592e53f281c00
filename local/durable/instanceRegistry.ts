// Gives everybody the same actor for an instance, and forgets actors that are idle: finished ones at once, waiting ones
// when more than `idleLimit` are held. Their timers and activities live elsewhere, and a message brings the actor back.
import { InstanceActor, type ActorContext } from './instanceActor.ts';

/** A loaded history is a few KB as a rule, so this bounds the memory that waiting instances hold. */
const idleLimit = 200;

export class InstanceRegistry {
  private readonly context: Omit<ActorContext, 'onIdle'>;
  private readonly actors = new Map<string, InstanceActor>();
  /** Idle actors, the longest idle first. */
  private readonly idle = new Set<InstanceActor>();

  constructor(context: Omit<ActorContext, 'onIdle'>) {
    this.context = context;
  }

  /** The actor of an instance that may or may not exist. Ask it something at once; an actor that is never asked is never released. */
  get(instanceId: string): InstanceActor {
    const known = this.actors.get(instanceId);
    if (known) {
      this.idle.delete(known);
      return known;
    }
    const actor = new InstanceActor(instanceId, { ...this.context, onIdle: (one) => this.release(one) });
    this.actors.set(instanceId, actor);
    return actor;
  }

  /** Resolves when no actor is working. */
  async settled(): Promise<void> {
    await Promise.all([...this.actors.values()].map((actor) => actor.settled()));
  }

  private release(actor: InstanceActor): void {
    if (!actor.isWorthKeeping) {
      this.idle.delete(actor);
      this.actors.delete(actor.instanceId);
      return;
    }
    this.idle.add(actor);
    for (const oldest of this.idle) {
      if (this.idle.size <= idleLimit) return;
      this.idle.delete(oldest);
      this.actors.delete(oldest.instanceId);
    }
  }
}
