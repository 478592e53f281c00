// How long recovery points are kept, in tiers that thin them out with age. A point stays as long as any tier wants it.
import * as z from 'zod';

const longestHours = 720;
const longestDays = 30;

const whole = (maximum: number, unit: string) =>
  z
    .int({ error: ({ input }) => `${JSON.stringify(input)} is not a whole number of ${unit}` })
    .min(0, { error: ({ input }) => `${String(input)} is less than 0 ${unit}` })
    .max(maximum, { error: ({ input }) => `${String(input)} is more than ${maximum} ${unit}` });

/** Each tier reaches back from now. 0 = the tier is not used; with all at 0 only the newest points stay. */
export const retentionTiers = z
  .object({
    /** Every point that is younger. */
    allHours: whole(longestHours, 'hours'),
    /** One point of each hour (UTC) that ended within. */
    hourlyHours: whole(longestHours, 'hours'),
    /** One point of each day (UTC) that ended within. */
    dailyDays: whole(longestDays, 'days'),
  })
  .check(({ value, issues }) => {
    if (issues.length > 0) return;
    const refuse = (field: keyof RetentionTiers, message: string): void => {
      issues.push({ code: 'custom', path: [field], message, input: value });
    };
    if (value.hourlyHours > 0 && value.hourlyHours < value.allHours)
      refuse(
        'hourlyHours',
        `${value.hourlyHours} hours end before allHours (${value.allHours}); tiers reach back from now: use more, or 0 for none`,
      );
    const finerHours = Math.max(value.allHours, value.hourlyHours);
    if (value.dailyDays > 0 && value.dailyDays * 24 < finerHours)
      refuse(
        'dailyDays',
        `${value.dailyDays} days end before the ${finerHours} hours of a finer tier; tiers reach back from now: use more, or 0 for none`,
      );
  });

export interface RetentionTiers {
  allHours: number;
  hourlyHours: number;
  dailyDays: number;
}
