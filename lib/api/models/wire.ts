// The words that the models of answers are made of. Site Recovery leaves fields out or sends null alike, so every field of an
// answer may be null or absent; what there is has exactly these names, which the typed clients compare by case.
import * as z from 'zod';

export const text = z.string().nullish();
export const texts = z.array(z.string()).nullish();
export const number = z.number().nullish();
export const flag = z.boolean().nullish();
export const time = z.string().meta({ format: 'date-time' }).nullish();
export const mapOf = <T extends z.ZodType>(value: T) => z.record(z.string(), value).nullish();

/** One of several kinds of object, told apart by `instanceType`. Kinds that a client does not know pass through it untyped. */
export const variant = z
  .looseObject({ instanceType: z.string() })
  .meta({ id: 'Variant', description: 'One of several kinds of object; instanceType says which.' });

/** `{id, name, type, properties}`: a resource as ARM writes it. */
export function resourceOf<T extends z.ZodType>(id: string, properties: T) {
  return z
    .strictObject({
      id: z.string(),
      name: z.string(),
      type: z.string(),
      etag: z.string().optional(),
      properties,
    })
    .meta({ id });
}
